#include "fly/cluster/options.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>

#include "fly/actors/error.hpp"
#include "fly/cluster/address.hpp"

namespace fly::cluster {

namespace {

using namespace std::chrono_literals;

caf::error bad(const std::string& option, const std::string& why) {
  return make_error(errc::invalid_argument, option + ": " + why);
}

/// Labels are printed in lists and logs: no spaces, no control characters.
bool is_label(const std::string& text, std::size_t bytes_max) {
  for (char c : text)
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f')
      return false;
  return text.size() <= bytes_max;
}

caf::error check_label(const std::string& option, const std::string& value, bool may_be_empty) {
  constexpr std::size_t bytes_max = 255;
  if (value.empty() && !may_be_empty)
    return bad(option, "must not be empty");
  if (!is_label(value, bytes_max))
    return bad(option, "must be at most 255 bytes without spaces");
  return {};
}

caf::error check_time(const std::string& option, std::chrono::milliseconds value,
                      std::chrono::milliseconds min, std::chrono::milliseconds max) {
  if (value >= min && value <= max)
    return {};
  return bad(option, std::to_string(value.count()) + " ms is not between " +
                         std::to_string(min.count()) + " and " + std::to_string(max.count()) +
                         " ms");
}

bool is_dns_name(const std::string& text) {
  constexpr std::size_t bytes_max = 253;
  return text.size() <= bytes_max && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

/// Returns whether `text` is nothing but a number that `into` can hold, and sets it.
template <class T>
bool is_number(const std::string& text, T& into) {
  T value{};
  auto end = text.data() + text.size();
  auto [rest, problem] = std::from_chars(text.data(), end, value);
  if (problem != std::errc{} || rest != end)
    return false;
  into = value;
  return true;
}

/// What the variable of an unusable "NAME=value" takes.
std::string allowed(std::string_view given) {
  if (given.starts_with("FLY_INSECURE="))
    return "0 or 1";
  return given.starts_with("FLY_KILL_TIMEOUT=") ? "500ms, 10s, 1m" : "a number";
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> result;
  std::string word;
  for (char c : text + ' ') {
    if (c != ' ' && c != ',' && c != '\n' && c != '\t') {
      word += c;
    } else if (!word.empty()) {
      result.push_back(std::move(word));
      word.clear();
    }
  }
  return result;
}

} // namespace

std::optional<std::chrono::milliseconds> parse_time(std::string_view text) {
  constexpr std::uint32_t count_max = 1'000'000'000;
  std::uint32_t count = 0;
  auto end = text.data() + text.size();
  auto [rest, problem] = std::from_chars(text.data(), end, count);
  if (problem != std::errc{} || count > count_max)
    return std::nullopt;
  std::string_view unit{rest, static_cast<std::size_t>(end - rest)};
  if (unit.empty() || unit == "s")
    return std::chrono::seconds{count};
  if (unit == "ms")
    return std::chrono::milliseconds{count};
  if (unit == "m")
    return std::chrono::minutes{count};
  return std::nullopt;
}

std::optional<std::string> process_environment(const char* name) {
  if (const char* value = std::getenv(name))
    return std::string{value};
  return std::nullopt;
}

options options::from_env(const environment& lookup) {
  options result;
  // A variable that is set but empty counts as not set, as with most tools.
  auto take = [&](std::string& field, std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (auto value = lookup(name); value && !value->empty()) {
        field = *value;
        return;
      }
  };
  take(result.region, {"FLY_REGION", "MY_REGION"});
  take(result.primary_region, {"PRIMARY_REGION"});
  take(result.app, {"FLY_APP_NAME"});
  take(result.machine_id, {"FLY_MACHINE_ID", "FLY_ALLOC_ID"});
  take(result.app_version, {"FLY_IMAGE_REF", "FLY_MACHINE_VERSION"});
  take(result.listen, {"FLY_PRIVATE_IP"});
  take(result.advertise, {"FLY_ADVERTISE"});
  take(result.dns_server, {"FLY_DNS_SERVER"});
  take(result.secret, {"FLY_SECRET"});
  take(result.secret_file, {"FLY_SECRET_FILE"});
  take(result.secret_also, {"FLY_SECRET_ALSO"});
  take(result.secret_also_file, {"FLY_SECRET_ALSO_FILE"});
  take(result.tls.certificate, {"FLY_TLS_CERT"});
  take(result.tls.key, {"FLY_TLS_KEY"});
  take(result.tls.authority, {"FLY_TLS_CA"});
  std::string insecure;
  take(insecure, {"FLY_INSECURE"});
  result.insecure = insecure == "1";
  if (!insecure.empty() && insecure != "0" && insecure != "1")
    result.unusable.push_back("FLY_INSECURE=" + insecure);
  std::string peers;
  take(peers, {"FLY_PEERS"});
  result.peers = split(peers);
  std::string kill_timeout;
  take(kill_timeout, {"FLY_KILL_TIMEOUT"});
  if (auto time = parse_time(kill_timeout))
    result.kill_timeout = *time;
  else if (!kill_timeout.empty())
    result.unusable.push_back("FLY_KILL_TIMEOUT=" + kill_timeout);
  auto take_number = [&](auto& field, const char* name) {
    std::string text;
    take(text, {name});
    if (!text.empty() && !is_number(text, field))
      result.unusable.push_back(name + ("=" + text));
  };
  take_number(result.port, "FLY_PORT");
  auto busy_poll_us = static_cast<std::uint32_t>(result.busy_poll.count());
  take_number(busy_poll_us, "FLY_BUSY_POLL_US");
  result.busy_poll = std::chrono::microseconds{busy_poll_us};
  return result;
}

caf::error options::validate() const {
  if (!unusable.empty())
    return bad(unusable.front(), "cannot be used (" + allowed(unusable.front()) + ")");
  if (auto problem = check_label("region", region, false))
    return problem;
  if (auto problem = check_label("primary-region", primary_region, false))
    return problem;
  if (auto problem = check_label("app", app, true))
    return problem;
  if (auto problem = check_label("machine-id", observer ? "" : machine_id, true))
    return problem;
  if (app_version.size() > 512)
    return bad("app-version", "must be at most 512 bytes");
  for (const auto& peer : peers)
    if (auto parsed = parse_socket_address(peer, default_port); !parsed)
      return bad("peer", text_of(parsed.error()));
  if (!is_dns_name(dns_name))
    return bad("dns-name", "'" + dns_name + "' is no name of DNS");
  if (!dns_server.empty()) {
    auto parsed = parse_socket_address(dns_server, 53);
    if (!parsed)
      return bad("dns-server", text_of(parsed.error()));
    if (reach_of(parsed->host) == reach::name)
      return bad("dns-server", "'" + dns_server + "' is a name; an address is needed");
  }
  if (auto problem = check_times())
    return problem;
  if (strangers_max == 0)
    return bad("strangers-max", "must be at least 1");
  if (frame_bytes_max < 64 * 1024 || frame_bytes_max > 1024 * 1024 * 1024)
    return bad("frame-bytes-max", "must be 65536 to 1073741824");
  if (unsent_bytes_max == 0)
    return bad("unsent-bytes-max", "must be at least 1");
  if (!log)
    return bad("log", "must not be empty");
  auto known = load_secret();
  if (!known)
    return known.error();
  auto also = load_secret_also();
  if (!also)
    return also.error();
  if (known->empty() && !also->empty())
    return bad("secret-also", "goes with a secret (FLY_SECRET), and there is none");
  auto where = listen_address();
  if (!where)
    return where.error();
  if (auto told = advertised_address(*where); !told)
    return told.error();
  auto trusted = load_tls();
  if (!trusted)
    return trusted.error();
  if (observer)
    return {};
  return check_listen(
      *where, {.secret = !known->empty(), .tls = *trusted != nullptr, .insecure = insecure});
}

caf::error options::check_times() const {
  if (auto problem = check_time("silence-max", silence_max, 100ms, 60s))
    return problem;
  if (auto problem = check_time("heartbeat", heartbeat, 10ms, silence_max / 3))
    return problem;
  if (auto problem = check_time("kill-timeout", kill_timeout, 0ms, 300s))
    return problem;
  if (auto problem = check_time("handshake-timeout", handshake_timeout, 100ms, 60s))
    return problem;
  if (auto problem = check_time("discovery-interval", discovery_interval, 100ms, 3600s))
    return problem;
  if (auto problem = check_time("dns-timeout", dns_timeout, 100ms, 60s))
    return problem;
  if (busy_poll < 0us || busy_poll > 1ms)
    return bad("busy-poll-us", std::to_string(busy_poll.count()) + " is not between 0 and 1000");
  if (auto problem = check_time("dial-first", dial_first, 1ms, dial_max))
    return problem;
  return check_time("dial-max", dial_max, 1ms, 3600s);
}

caf::expected<std::shared_ptr<const tls_context>> options::load_tls() const {
  if (tls.certificate.empty() && tls.key.empty() && tls.authority.empty())
    return std::shared_ptr<const tls_context>{};
  return tls_context::load(tls, app);
}

caf::expected<socket_address> options::listen_address() const {
  auto result = parse_socket_address(listen.empty() ? "127.0.0.1" : listen, port);
  if (!result)
    return bad("listen", text_of(result.error()));
  return result;
}

caf::expected<socket_address> options::advertised_address(const socket_address& listened) const {
  if (advertise.empty())
    return listened;
  auto result = parse_socket_address(advertise, listened.port);
  if (!result)
    return bad("advertise", text_of(result.error()));
  if (reach_of(result->host) == reach::name)
    return bad("advertise", "'" + advertise + "' is a name; an address is needed");
  if (result->host == "0.0.0.0" || result->host == "::")
    return bad("advertise", "'" + advertise + "' says where to listen; nobody can dial it");
  return result;
}

std::string options::discovery_name() const {
  if (!dns_name.empty())
    return dns_name;
  return app.empty() ? std::string{} : app + ".internal";
}

} // namespace fly::cluster
