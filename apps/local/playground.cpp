#include "apps/local/playground.hpp"

#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>

#include "apps/local/certificates.hpp"
#include "apps/local/delay_proxy.hpp"
#include "apps/local/dns_server.hpp"
#include "apps/local/environment.hpp"
#include "apps/local/loopback_block.hpp"
#include "apps/local/postgres.hpp"

namespace fly::local {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kill_timeout{5000}; // Fly's default
constexpr std::chrono::milliseconds listen_time_max{15'000};

std::string random_secret() {
  std::random_device source;
  std::string result;
  for (int i = 0; i < 32; ++i)
    result += "0123456789abcdef"[source() % 16];
  return result;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

/// A TXT record for dnsmasq; a string of one holds 255 bytes at most, and readers join them.
std::string txt_record(const std::string& name, const std::string& text) {
  auto result = "txt-record=" + name;
  for (std::size_t i = 0; i < text.size(); i += 200)
    result += ",\"" + text.substr(i, 200) + "\"";
  return result;
}

} // namespace

class playground::parts {
public:
  parts(playground_options options, std::function<void()> checkpoint)
      : options_(std::move(options)), checkpoint_(std::move(checkpoint)),
        state_(take_folder(options_.folder, options_.name)) {
    try {
      start();
    } catch (...) {
      end();
      throw;
    }
  }

  ~parts() { end(); }

  const playground_state& state() const noexcept { return state_; }
  const std::vector<std::string>& silent() const noexcept { return silent_; }

  std::vector<std::string> look() {
    std::vector<std::string> result;
    for (auto& it : nodes_)
      if (auto how = it.running->ended(); how && !std::exchange(it.told, true))
        result.push_back("the node of " + it.region + " has ended, " + *how + ":\n" +
                         it.running->log_tail(10));
    return result;
  }

private:
  struct node {
    std::string region;
    std::unique_ptr<process> running;
    bool told = false;
  };

  void start() {
    state_.primary = options_.primary_region();
    state_.delay = options_.delay;
    secret_ = random_secret();
    block_.emplace(options_.regions.size(), options_.port);
    if (options_.tls) {
      state_.folders.push_back(options_.folder / "tls");
      certificates_ = make_certificates(state_.folders.back(), options_.name, options_.regions);
    }
    checkpoint_();
    start_databases();
    checkpoint_();
    for (std::size_t i = 0; i < options_.regions.size(); ++i)
      if (options_.delay > 0ms)
        proxies_.push_back(std::make_unique<delay_proxy>(
            delay_proxy_options{.listen = with_port(block_->front(i)),
                                .target = with_port(block_->address(i)),
                                .delay = options_.delay}));
    start_dns();
    for (std::size_t i = 0; i < options_.regions.size(); ++i)
      start_node(i);
    save(state_, options_.folder);
    wait_for_nodes();
    state_.ready = true;
    save(state_, options_.folder);
  }

  void end() {
    std::vector<process*> running;
    for (const auto& it : nodes_)
      running.push_back(it.running.get());
    stop_all(running, kill_timeout);
    nodes_.clear();
    dns_.reset();
    proxies_.clear();
    databases_.reset();
    remove_files(state_, options_.folder);
  }

  std::string with_port(const std::string& address) const {
    return address + ":" + std::to_string(options_.port);
  }

  /// Returns where the others find a region.
  std::string known_as(std::size_t index) const {
    return options_.delay > 0ms ? block_->front(index) : block_->address(index);
  }

  std::string machine_of(const std::string& region) const { return "machine-" + region; }

  void start_databases() {
    auto regions = options_.replica_regions();
    auto route = [this](std::size_t, std::uint16_t port) {
      checkpoint_();
      if (options_.delay == 0ms)
        return port;
      proxies_.push_back(std::make_unique<delay_proxy>(delay_proxy_options{
          .target = "127.0.0.1:" + std::to_string(port), .delay = options_.delay}));
      return proxies_.back()->port();
    };
    databases_.emplace(postgres_options{
        .replicas = regions.size(),
        .settings = {"max_wal_senders = 20", "max_connections = 200", "shared_buffers = 32MB"},
        .route = route,
        .foreign = true});
    state_.folders.push_back(databases_->folder().string());
    note_database("primary", options_.primary_region(), databases_->primary());
    for (std::size_t i = 0; i < regions.size(); ++i)
      note_database("replica", regions[i], databases_->replica(i));
  }

  void note_database(const std::string& what, const std::string& region,
                     const postgres_server& server) {
    urls_.emplace_back(region, server.url());
    state_.parts.push_back({.what = what,
                            .region = region,
                            .mark = mark_of(server.pid()),
                            .address = "127.0.0.1:" + std::to_string(server.port()),
                            .hint = server.url("postgres"),
                            .log = server.log_file().string()});
  }

  void start_dns() {
    auto zone = options_.name + ".internal";
    std::vector<std::string> lines;
    std::string machines;
    std::string regions;
    for (std::size_t i = 0; i < options_.regions.size(); ++i) {
      const auto& region = options_.regions[i];
      auto machine = machine_of(region);
      for (const auto& name :
           {zone, "global." + zone, region + "." + zone, machine + ".vm." + zone})
        lines.push_back("host-record=" + name + "," + known_as(i));
      machines += (i == 0 ? "" : ",") + machine + " " + region;
      regions += (i == 0 ? "" : ",") + region;
    }
    lines.push_back(txt_record("vms." + zone, machines));
    lines.push_back(txt_record("regions." + zone, regions));
    dns_.emplace(std::move(lines));
    state_.folders.push_back(dns_->folder());
    state_.parts.push_back({.what = "dns",
                            .region = {},
                            .mark = mark_of(dns_->pid()),
                            .address = dns_->address(),
                            .hint = zone,
                            .log = {}});
  }

  variables environment_of(std::size_t index) const {
    const auto& region = options_.regions[index];
    variables result{{"FLY_APP_NAME", options_.name},
                     {"FLY_REGION", region},
                     {"PRIMARY_REGION", options_.primary_region()},
                     {"FLY_MACHINE_ID", machine_of(region)},
                     {"FLY_ALLOC_ID", machine_of(region)},
                     {"FLY_PROCESS_GROUP", "app"},
                     {"FLY_PRIVATE_IP", block_->address(index)},
                     {"FLY_PORT", std::to_string(options_.port)},
                     {"FLY_SECRET", secret_},
                     {"FLY_DNS_SERVER", dns_->address()},
                     {"FLY_LOCAL_ADDRESS", block_->address(index)}};
    if (options_.tls)
      for (const auto& [name, file] : certificates_.at(index))
        result.emplace_back(name, file);
    if (options_.delay > 0ms)
      result.emplace_back("FLY_ADVERTISE", with_port(known_as(index)));
    for (const auto& [where, url] : urls_)
      if (where == region)
        result.emplace_back("DATABASE_URL", url);
    return result;
  }

  void start_node(std::size_t index) {
    const auto& region = options_.regions[index];
    auto ours = environment_of(index);
    auto file = environment_file(options_.folder, region);
    write_environment(file, ours);
    auto arguments = options_.command;
    for (auto& it : arguments)
      it = replaced(replaced(it, "{address}", block_->address(index)), "{region}", region);
    auto log = options_.folder / (region + ".log");
    nodes_.push_back(
        {region, std::make_unique<process>(process_setup{
                     .arguments = arguments, .environment = environment_with(ours), .log = log})});
    state_.parts.push_back({.what = "node",
                            .region = region,
                            .mark = nodes_.back().running->mark(),
                            .address = with_port(block_->address(index)),
                            .hint = file.string(),
                            .log = log.string()});
  }

  void wait_for_nodes() {
    auto deadline = std::chrono::steady_clock::now() + listen_time_max;
    do {
      checkpoint_();
      if (auto ended = look(); !ended.empty())
        throw std::runtime_error{ended.front()};
      silent_.clear();
      for (std::size_t i = 0; i < options_.regions.size(); ++i)
        if (!is_listened(block_->address(i), options_.port))
          silent_.push_back(options_.regions[i]);
      if (silent_.empty())
        return;
      std::this_thread::sleep_for(20ms);
    } while (std::chrono::steady_clock::now() < deadline);
  }

  const playground_options options_;
  std::function<void()> checkpoint_;
  playground_state state_;
  std::string secret_;
  std::optional<loopback_block> block_;
  std::vector<std::unique_ptr<delay_proxy>> proxies_;
  std::optional<postgres> databases_;
  std::vector<std::pair<std::string, std::string>> urls_; // region, URL for its node
  std::optional<dns_server> dns_;
  std::vector<variables> certificates_; // of each region, where there is TLS
  std::vector<node> nodes_;
  std::vector<std::string> silent_;
};

playground::playground(playground_options options, std::function<void()> checkpoint)
    : parts_(std::make_unique<parts>(std::move(options), std::move(checkpoint))) {}

playground::~playground() = default;

const playground_state& playground::state() const noexcept {
  return parts_->state();
}

std::vector<std::string> playground::look() {
  return parts_->look();
}

const std::vector<std::string>& playground::silent_regions() const noexcept {
  return parts_->silent();
}

} // namespace fly::local
