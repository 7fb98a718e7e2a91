#include "fly/cluster/node_core.hpp"

#include <array>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include <unistd.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include "fly/actors/error.hpp"
#include "fly/actors/thread_locals.hpp"
#include "fly/cluster/mesh.hpp"
#include "fly/cluster/node.hpp"

namespace fly::cluster {

namespace {

struct prepared_config : caf::actor_system_config {
  prepared_config() { prepare(*this); }
};

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0')
    return "localhost";
  return name.data();
}

std::uint64_t incarnation_now() {
  auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count());
}

} // namespace

/// An actor system of the node's own.
struct node_core::own_system {
  own_system() {
    actors::watch_thread_locals();
    system.emplace(config);
  }

  // CAF 0.17 keeps its logger in a thread-local of each thread, and takes it back here. Where that
  // is destroyed already, as it is for a static node, it would be given back twice: so on a thread
  // that has one.
  ~own_system() {
    if (actors::thread_locals_alive())
      system.reset();
    else
      std::thread{[this] { system.reset(); }}.join();
  }

  own_system(const own_system&) = delete;
  own_system& operator=(const own_system&) = delete;

  prepared_config config;
  std::optional<caf::actor_system> system;
};

node_core::node_core(caf::actor_system* lent, options settings)
    : settings_(std::move(settings)),
      own_(lent == nullptr ? std::make_unique<own_system>() : nullptr),
      system_(lent == nullptr ? &*own_->system : lent), self_(open()), board_(first_snapshot()),
      listeners_(settings_.log), bell_(std::make_shared<doorbell>()) {}

node_core::~node_core() {
  leave();
}

caf::error node_core::join() {
  std::lock_guard guard{join_mutex_};
  if (left_)
    return make_error(errc::shutting_down, self_.id + " has left the cluster");
  if (joined_)
    return make_error(errc::invalid_argument, self_.id + " has joined already");
  if (auto problem = settings_.validate())
    return problem;
  if (!system_->has_middleman())
    return make_error(errc::invalid_argument,
                      "the lent actor system has no middleman: call fly::cluster::prepare on its "
                      "configuration before it is built");
  if (!settings_.observer) {
    auto where = *settings_.listen_address();
    if (open_error_) // taken when the node was made; perhaps it is free now
      if (auto again = try_open())
        return again;
    if (auto problem = listen_tcp(listening_, where))
      return problem;
  }
  joined_ = true;
  start_link_broker(*system_, broker_setup(), [this] { on_broker_end(); });
  discovery_.emplace(discovery_setup());
  return {};
}

void node_core::leave() {
  std::unique_lock lock{join_mutex_};
  bool first = !std::exchange(left_, true) && joined_;
  if (first) { // the last tenth of the time is for the goodbyes
    auto until = std::chrono::steady_clock::now() + settings_.kill_timeout * 9 / 10;
    listeners_.each_unlocked([until](listener& who) { who.on_leaving(until); });
  }
  discovery_.reset(); // waits for its thread
  if (!joined_)
    return;
  bell_->post([](mesh& links) { links.leave(); });
  {
    std::unique_lock ended_lock{ended_mutex_};
    ended_changed_.wait(ended_lock, [this] { return ended_; });
  }
  if (first)
    listeners_.each_unlocked([](listener& who) { who.on_left(); });
}

caf::error node_core::reload_tls() {
  auto fresh = settings_.load_tls();
  if (!fresh)
    return fresh.error();
  if (*fresh == nullptr)
    return make_error(errc::invalid_argument,
                      self_.id + " has no TLS: it was begun without --tls-cert");
  bell_->post([fresh = std::move(*fresh)](mesh& links) { links.set_tls(fresh); });
  settings_.log(log_level::info, self_.id + " takes the files of TLS anew");
  return {};
}

/// Binds the socket, so that the address is known from the start; an error is for `join`.
member node_core::open() {
  member self;
  self.incarnation = incarnation_now();
  self.region = settings_.region;
  self.version = settings_.app_version;
  self.observer = settings_.observer;
  self.id = settings_.machine_id;
  if (self.observer) {
    if (self.id.empty())
      self.id = host_name() + "/observer-" + std::to_string(::getpid()) + "-" +
                std::to_string(self.incarnation);
    return self;
  }
  if (!settings_.validate())
    open_error_ = try_open();
  auto where = settings_.listen_address();
  auto address = where ? local_address(listening_, *where) : socket_address{"127.0.0.1", 0};
  if (self.id.empty())
    self.id = host_name() + "/" + to_string(address);
  auto told = settings_.advertised_address(address);
  self.address = to_string(told ? *told : address); // a bad one is for `join` to refuse
  return self;
}

caf::error node_core::try_open() {
  auto bound = bind_tcp(*settings_.listen_address());
  if (!bound)
    return bound.error();
  listening_ = std::move(*bound);
  open_error_ = caf::error{};
  return {};
}

snapshot node_core::first_snapshot() const {
  snapshot first;
  primary rule{settings_.primary_region};
  if (!self_.observer) {
    member_view view;
    view.who = self_;
    view.state = presence::self;
    view.since = std::chrono::system_clock::now();
    first.views.push_back(std::move(view));
  }
  rule.update(first.views);
  first.primary = rule.state();
  return first;
}

link_broker_setup node_core::broker_setup() {
  mesh_options links;
  links.who = {.self = self_, .cluster = settings_.app, .secret = *settings_.load_secret()};
  links.membership = {.self = self_,
                      .heartbeat = settings_.heartbeat,
                      .silence_max = settings_.silence_max,
                      .handshake_timeout = settings_.handshake_timeout,
                      .strangers_max = settings_.strangers_max,
                      .dial = {.first = settings_.dial_first, .max = settings_.dial_max},
                      .seed = self_.incarnation};
  links.limits = {.frame_bytes_max = settings_.frame_bytes_max,
                  .unsent_bytes_max = settings_.unsent_bytes_max};
  links.primary_label = settings_.primary_region;
  links.log = settings_.log;
  links.tls = *settings_.load_tls();
  return {.mesh = std::move(links),
          .listening = std::move(listening_),
          .pinned = &board_,
          .heard_by = &listeners_,
          .bell = bell_};
}

discovery_thread::setup node_core::discovery_setup() {
  auto where = settings_.listen_address();
  auto name = settings_.discovery_name();
  return {.what = discovery{settings_.peers, name, where->port},
          .name = name,
          .dns_server = settings_.dns_server,
          .every = settings_.discovery_interval,
          .time_max = settings_.dns_timeout,
          .log = settings_.log,
          .found = [bell = bell_](std::vector<std::string> addresses) {
            bell->post(
                [addresses = std::move(addresses)](mesh& links) { links.on_addresses(addresses); });
          }};
}

void node_core::on_broker_end() {
  std::lock_guard guard{ended_mutex_};
  ended_ = true;
  ended_changed_.notify_all(); // under the lock: the node may be gone right after it
}

} // namespace fly::cluster
