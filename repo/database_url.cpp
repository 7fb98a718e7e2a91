#include "fly/repo/database_url.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <libpq-fe.h>

#include "fly/actors/error.hpp"

namespace fly::repo {

namespace {

struct host_port {
  std::string host; ///< As written: may be empty, "[::1]" or percent-encoded.
  std::string port; ///< Empty where none is given.
};

struct url_parts {
  std::string scheme;
  std::string user; ///< Without the password; with_user says whether there is an "@".
  std::optional<std::string> password;
  bool with_user = false;
  std::vector<host_port> hosts;
  std::string rest; ///< From the "/" or "?" on.
};

caf::error wrong(const std::string& what) {
  return make_error(errc::invalid_argument, "database URL: " + what);
}

bool good_percents(std::string_view text) {
  auto is_hex = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  for (auto at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1))
    if (at + 2 >= text.size() || !is_hex(text[at + 1]) || !is_hex(text[at + 2]) ||
        text.substr(at + 1, 2) == "00")
      return false;
  return true;
}

caf::error check_port(const std::string& port) {
  std::uint32_t number = 0;
  auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (end != port.data() + port.size()) // not shown: it may be a password without its "@"
    return wrong("port is not a number from 1 to 65535");
  if (code != std::errc{} || number == 0 || number > 65535)
    return wrong("port '" + port + "' is not a number from 1 to 65535");
  return {};
}

caf::expected<host_port> parse_host(std::string_view text) {
  host_port result;
  auto end_of_host = text.find(':');
  if (!text.empty() && text.front() == '[') {
    auto close = text.find(']');
    if (close == std::string_view::npos)
      return wrong("the IPv6 address lacks its ']'");
    if (close == 1)
      return wrong("the IPv6 address is empty");
    end_of_host = close + 1 == text.size() ? std::string_view::npos : close + 1;
    if (end_of_host != std::string_view::npos && text[end_of_host] != ':')
      return wrong("after ']' only ':' and a port may follow");
  }
  result.host = text.substr(0, end_of_host);
  if (end_of_host != std::string_view::npos) {
    result.port = text.substr(end_of_host + 1);
    if (auto reason = check_port(result.port))
      return reason;
  }
  auto unfit = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7F; };
  if (std::any_of(result.host.begin(), result.host.end(), unfit))
    return wrong("the host contains a blank or a control character");
  return result;
}

caf::error parse_hosts(std::string_view text, std::vector<host_port>& hosts) {
  for (;;) {
    auto comma = text.find(',');
    auto host = parse_host(text.substr(0, comma));
    if (!host)
      return std::move(host.error());
    hosts.push_back(std::move(*host));
    if (comma == std::string_view::npos)
      return {};
    text.remove_prefix(comma + 1);
  }
}

caf::expected<url_parts> parse(std::string_view url) {
  if (url.empty())
    return wrong("it is empty");
  auto colon = url.find("://");
  if (colon == std::string_view::npos)
    return wrong("it does not begin with postgres:// or postgresql://");
  url_parts result;
  result.scheme = url.substr(0, colon);
  if (result.scheme != "postgres" && result.scheme != "postgresql")
    return wrong("it does not begin with postgres:// or postgresql://");
  url.remove_prefix(colon + 3);
  // As libpq does: the user's part ends at the first "@" before any "/".
  auto rest = url.find_first_of("/?");
  auto at = url.substr(0, rest).find('@');
  if (at == std::string_view::npos && rest != std::string_view::npos &&
      url.find('@', rest) < url.find('?', rest))
    return wrong("'/' and '?' in a user name or password are written as %2F and %3F");
  if (at != std::string_view::npos) {
    auto user = url.substr(0, at);
    result.with_user = true;
    auto password = user.find(':');
    result.user = user.substr(0, password);
    if (password != std::string_view::npos)
      result.password = user.substr(password + 1);
    if (!good_percents(user))
      return wrong("a '%' in the user name or password is not followed by two hexadecimal digits");
    url.remove_prefix(at + 1);
    rest = url.find_first_of("/?");
  }
  // First, because what follows could show a part of a password.
  if (url.substr(0, rest).find('@') != std::string_view::npos)
    return wrong("'@' in a user name or password is written as %40");
  if (auto reason = parse_hosts(url.substr(0, rest), result.hosts))
    return reason;
  if (rest != std::string_view::npos)
    result.rest = url.substr(rest);
  for (const auto& it : result.hosts)
    if (!good_percents(it.host))
      return wrong("a '%' in the host is not followed by two hexadecimal digits");
  if (!good_percents(result.rest))
    return wrong("a '%' after the host is not followed by two hexadecimal digits");
  return result;
}

std::string print(const url_parts& parts) {
  auto result = parts.scheme + "://";
  if (parts.with_user) {
    result += parts.user;
    if (parts.password)
      result += ':' + *parts.password;
    result += '@';
  }
  for (std::size_t i = 0; i < parts.hosts.size(); ++i) {
    result += (i == 0 ? "" : ",") + parts.hosts[i].host;
    if (!parts.hosts[i].port.empty())
      result += ':' + parts.hosts[i].port;
  }
  return result + parts.rest;
}

void rewrite(host_port& where, bool in_primary_region) {
  bool internal = where.host.ends_with(".internal");
  if (!internal && !where.host.ends_with(".flycast"))
    return;
  if (where.host.starts_with("top2."))
    where.host[3] = '1';
  if (internal && where.host.find(".flycast") == std::string::npos &&
      where.host.find("top1.nearest.of.") == std::string::npos)
    where.host.insert(0, "top1.nearest.of.");
  if (!in_primary_region && (where.port.empty() || where.port == "5432"))
    where.port = "5433";
}

using options_ptr = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

std::string in_one_line(const char* text) {
  std::string result = text == nullptr ? "" : text;
  while (result.ends_with('\n'))
    result.pop_back();
  return result;
}

/// What libpq says of `options` where there is no server, which it finds after all that is wrong
/// with a value. Asks nobody: neither a name server, nor a server.
std::string said_without_server(const PQconninfoOption* options) {
  // What is not given libpq looks for: a user in the system, a password in a file.
  std::vector<const char*> keys{"host", "user", "dbname", "password"};
  std::vector<const char*> values{"/nonexistent", "fly", "fly", "none"};
  for (const auto* it = options; it != nullptr && it->keyword != nullptr; ++it) {
    std::string_view key = it->keyword;
    if (it->val == nullptr || key == "host" || key == "hostaddr" || key == "port" ||
        key == "service" || key == "password")
      continue;
    keys.push_back(it->keyword);
    values.push_back(it->val);
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  std::unique_ptr<PGconn, decltype(&PQfinish)> link{
      PQconnectStartParams(keys.data(), values.data(), 0), PQfinish};
  return PQstatus(link.get()) == CONNECTION_BAD ? in_one_line(PQerrorMessage(link.get())) : "";
}

/// Whether `what` may be shown: an "@" behind the host is one of a password with a "?" inside.
bool has_no_password(std::string_view what, const url_parts& parts) {
  auto has = [&](const std::string& secret) {
    return !secret.empty() && what.find(secret) != std::string_view::npos;
  };
  return parts.rest.find('@') == std::string::npos && !has(parts.password.value_or(""));
}

/// Says what is wrong with a value, but without the value where that may have to do with a
/// password.
caf::error wrong_value(const std::string& what, const url_parts& parts) {
  bool shown = has_no_password(what, parts) && parts.rest.find("password=") == std::string::npos;
  return wrong(shown ? what : "a value behind its '?' is none of its parameter");
}

/// What libpq parses once it has connected, or never.
caf::error check_numbers_of(const PQconninfoOption* options, const url_parts& parts) {
  for (const auto* it = options; it->keyword != nullptr; ++it) {
    std::string_view key = it->keyword;
    bool number =
        key.starts_with("keepalives") || key == "tcp_user_timeout" || key == "connect_timeout";
    if (!number || it->val == nullptr)
      continue;
    std::string_view text = it->val;
    std::int32_t value = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size())
      return wrong_value("invalid " + std::string{key} + " value: \"" + std::string{text} + '"',
                         parts);
  }
  return {};
}

/// What is wrong with the values of parameters that libpq knows: `sslmode=bogus`.
caf::error check_values_of(const PQconninfoOption* options, const url_parts& parts) {
  auto said = said_without_server(options);
  if (!said.empty() && said != said_without_server(nullptr))
    return wrong_value(said, parts);
  return check_numbers_of(options, parts);
}

/// What libpq finds wrong with a URL that is well-formed: a parameter that it does not know, or a
/// value that is none.
caf::error check_parameters_of(std::string_view url, const url_parts& parts) {
  char* said = nullptr;
  options_ptr known{PQconninfoParse(std::string{url}.c_str(), &said), PQconninfoFree};
  std::unique_ptr<char, decltype(&PQfreemem)> text{said, PQfreemem};
  if (known)
    return check_values_of(known.get(), parts);
  auto what = in_one_line(text.get());
  bool shown = !what.empty() && has_no_password(what, parts);
  return wrong(shown ? what : "what is behind its '?' cannot be read");
}

} // namespace

caf::error check_database_url(std::string_view url) {
  auto parts = parse(url);
  return parts ? check_parameters_of(url, *parts) : std::move(parts.error());
}

caf::expected<std::string> database_url_for(std::string_view url, std::string_view region,
                                            std::string_view primary_region) {
  if (auto reason = check_database_url(url))
    return reason;
  auto parts = parse(url);
  for (auto& it : parts->hosts)
    rewrite(it, region == primary_region);
  return print(*parts);
}

std::string redact_database_url(std::string_view url) {
  auto parts = parse(url);
  if (!parts)
    return "(unreadable)";
  if (parts->password)
    parts->password = "***";
  // A "?" in a password makes it a part of what follows the host.
  if (auto at = parts->rest.rfind('@'); at != std::string::npos)
    parts->rest.replace(0, at, "***");
  // "?password=..." is another way that libpq knows.
  for (auto at = parts->rest.find("password="); at != std::string::npos;
       at = parts->rest.find("password=", at + 1)) {
    auto begin = at + 9;
    auto end = parts->rest.find('&', begin);
    parts->rest.replace(begin, end == std::string::npos ? end : end - begin, "***");
  }
  return print(*parts);
}

} // namespace fly::repo
