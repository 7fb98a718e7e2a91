// The beginning and the end of a playground.
#include <csignal>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>

#include "apps/local/certificates.hpp"
#include "apps/local/playground_parts.hpp"

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

std::string machine_of(const std::string& region) {
  return "machine-" + region;
}

} // namespace

playground::parts::parts(playground_options options, std::function<void()> checkpoint)
    : options_(std::move(options)), checkpoint_(std::move(checkpoint)),
      state_(take_folder(options_.folder, options_.name)) {
  try {
    start();
  } catch (...) {
    end_all();
    throw;
  }
}

playground::parts::~parts() {
  end_all();
}

void playground::parts::start() {
  state_.primary = options_.primary_region();
  state_.delay = options_.delay;
  secret_ = random_secret();
  block_.emplace(options_.regions.size(), options_.port);
  if (options_.tls) {
    state_.folders.push_back(options_.folder / "tls");
    certificates_ = make_certificates(state_.folders.back(), options_.name, options_.regions);
  }
  std::vector<region_door> doors;
  for (std::size_t i = 0; i < options_.regions.size(); ++i)
    doors.push_back({.own = block_->address(i), .front = block_->front(i)});
  lines_.emplace(doors, options_.port, options_.delay);
  checkpoint_();
  start_databases();
  checkpoint_();
  start_dns();
  for (std::size_t i = 0; i < options_.regions.size(); ++i)
    start_node(i);
  save(state_, options_.folder);
  wait_for_nodes();
  door_.emplace(options_.folder);
  state_.ready = true;
  save(state_, options_.folder);
}

void playground::parts::end_all() {
  std::vector<process*> running;
  for (const auto& it : nodes_) {
    it.running->signal(SIGCONT); // one that is frozen hears of nothing else
    running.push_back(it.running.get());
  }
  stop_all(running, kill_timeout);
  nodes_.clear();
  dns_.reset();
  databases_.reset();
  lines_.reset();
  remove_files(state_, options_.folder);
}

std::vector<std::string> playground::parts::look() {
  std::vector<std::string> result;
  for (auto& it : nodes_)
    if (auto how = it.running->ended(); how && !std::exchange(it.told, true))
      result.push_back("the node of " + it.region + " has ended, " + *how + ":\n" +
                       it.running->log_tail(10));
  return result;
}

std::string playground::parts::with_port(const std::string& address) const {
  return address + ":" + std::to_string(options_.port);
}

void playground::parts::start_databases() {
  databases_.emplace(options_, *lines_, checkpoint_);
  state_.folders.push_back(databases_->folder());
  for (const auto& region : databases_->regions()) {
    const auto& server = *databases_->find(region);
    state_.parts.push_back({.what = databases_->role(region),
                            .region = region,
                            .mark = mark_of(server.pid()),
                            .address = "127.0.0.1:" + std::to_string(server.port()),
                            .hint = server.url("postgres"),
                            .log = server.log_file().string()});
  }
}

void playground::parts::start_dns() {
  auto zone = options_.name + ".internal";
  std::vector<std::string> lines;
  std::string machines;
  std::string regions;
  for (std::size_t i = 0; i < options_.regions.size(); ++i) {
    const auto& region = options_.regions[i];
    auto machine = machine_of(region);
    for (const auto& name : {zone, "global." + zone, region + "." + zone, machine + ".vm." + zone})
      lines.push_back("host-record=" + name + "," + block_->front(i));
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

variables playground::parts::environment_of(std::size_t index) const {
  const auto& region = options_.regions[index];
  variables result{{"FLY_APP_NAME", options_.name},
                   {"FLY_REGION", region},
                   {"PRIMARY_REGION", options_.primary_region()},
                   {"FLY_MACHINE_ID", machine_of(region)},
                   {"FLY_ALLOC_ID", machine_of(region)},
                   {"FLY_PROCESS_GROUP", "app"},
                   {"FLY_PRIVATE_IP", block_->address(index)},
                   {"FLY_PORT", std::to_string(options_.port)},
                   {"FLY_ADVERTISE", with_port(block_->front(index))},
                   {"FLY_SECRET", secret_},
                   {"FLY_DNS_SERVER", dns_->address()},
                   {"FLY_LOCAL_ADDRESS", block_->address(index)}};
  if (options_.tls)
    for (const auto& [name, file] : certificates_.at(index))
      result.emplace_back(name, file);
  for (const auto& part : state_.parts)
    if (part.region == region && part.what != "node")
      result.emplace_back("DATABASE_URL", "postgresql://app@" + part.address + "/app");
  return result;
}

std::unique_ptr<process> playground::parts::launch(std::size_t index) const {
  const auto& region = options_.regions[index];
  auto arguments = options_.command;
  for (auto& it : arguments)
    it = replaced(replaced(it, "{address}", block_->address(index)), "{region}", region);
  return std::make_unique<process>(
      process_setup{.arguments = arguments,
                    .environment = environment_with(environment_of(index)),
                    .log = options_.folder / (region + ".log")});
}

void playground::parts::start_node(std::size_t index) {
  const auto& region = options_.regions[index];
  auto file = environment_file(options_.folder, region);
  write_environment(file, environment_of(index));
  nodes_.push_back({region, launch(index)});
  state_.parts.push_back({.what = "node",
                          .region = region,
                          .mark = nodes_.back().running->mark(),
                          .address = with_port(block_->address(index)),
                          .hint = file.string(),
                          .log = nodes_.back().running->log().string()});
}

void playground::parts::wait_for_nodes() {
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

} // namespace fly::local
