#include "fly/cluster/node_core.hpp"

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <unistd.h>

#include <caf/actor_registry.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include "fly/actors/error.hpp"
#include "fly/actors/thread_locals.hpp"
#include "fly/cluster/node.hpp"

namespace fly::cluster {

using namespace std::chrono_literals;

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

caf::error bind(const options& settings, socket_owner& into) {
  auto bound = bind_tcp(*settings.listen_address());
  if (!bound)
    return bound.error();
  into = std::move(*bound);
  return {};
}

} // namespace

/// An actor system of the node's own.
struct node_core::own_system {
  explicit own_system(log_sink to) : log(std::move(to)) {
    actors::watch_thread_locals();
    actors::borrowed_logger meanwhile;
    system.emplace(config);
  }

  // CAF 0.17 keeps its logger in a thread-local of each thread, and takes it back here. Where that
  // is destroyed already, as it is for a static node, it would be given back twice: so on a thread
  // that has one.
  ~own_system() {
    tell_what_is_left();
    if (actors::thread_locals_alive())
      system.reset();
    else
      std::thread{[this] { system.reset(); }}.join();
  }

  own_system(const own_system&) = delete;
  own_system& operator=(const own_system&) = delete;

  /// The system waits for its actors, for ever if need be: says so, for whoever wonders.
  void tell_what_is_left() {
    auto until = std::chrono::steady_clock::now() + 1s;
    while (system->registry().running() > 0) {
      if (std::chrono::steady_clock::now() >= until) {
        if (log)
          log(log_level::error,
              "the node is destroyed while actors run on its system, and waits for "
              "them: destroy endpoints, databases and supervisors before it");
        return;
      }
      std::this_thread::sleep_for(1ms);
    }
  }

  prepared_config config;
  std::optional<caf::actor_system> system;
  log_sink log;
};

node_core::node_core(caf::actor_system* lent, const options& settings)
    : node_core(lent, settings, open(settings)) {}

node_core::node_core(caf::actor_system* lent, const options& settings, opening begun)
    : node_state(settings, std::move(begun.self)),
      own_(lent == nullptr ? std::make_unique<own_system>(settings.log) : nullptr),
      system_(lent == nullptr ? &*own_->system : lent), listening_(std::move(begun.listening)),
      open_error_(std::move(begun.problem)) {}

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
  auto tls = load_tls();
  if (!tls)
    return tls.error();
  if (!system_->has_middleman())
    return make_error(errc::invalid_argument,
                      "the lent actor system has no middleman: call fly::cluster::prepare on its "
                      "configuration before it is built");
  if (open_error_) // taken when the node was made; perhaps it is free now
    if ((open_error_ = bind(settings_, listening_)))
      return open_error_;
  if (auto problem = start_discovery()) // before it listens: that cannot be undone
    return problem;
  if (!settings_.observer)
    if (auto problem = listen_tcp(listening_, *settings_.listen_address())) {
      discovery_.reset();
      return problem;
    }
  joined_ = true;
  start_link_broker(*system_, broker_setup(std::move(*tls)), [this] { on_broker_end(); });
  return {};
}

caf::error node_core::start_discovery() {
  try {
    discovery_.emplace(discovery_setup());
    return {};
  } catch (const std::system_error& problem) {
    return make_error(errc::overloaded,
                      std::string{"no thread can be started to ask name servers: "} +
                          problem.what());
  }
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
  auto fresh = load_tls();
  if (!fresh)
    return fresh.error();
  if (*fresh == nullptr)
    return make_error(errc::invalid_argument,
                      self_.id + " has no TLS: it was begun without --tls-cert");
  bell_->post([fresh = std::move(*fresh)](mesh& links) { links.set_tls(fresh); });
  settings_.log(log_level::info, self_.id + " takes the files of TLS anew");
  return {};
}

/// Binds the socket, so that the address is known from the start; a problem is for `join`.
node_core::opening node_core::open(const options& settings) {
  opening result;
  auto& self = result.self;
  self.incarnation = incarnation_now();
  self.region = settings.region;
  self.version = settings.app_version;
  self.observer = settings.observer;
  if (self.observer) { // the environment may be that of a member's machine
    self.id = host_name() + "/observer-" + std::to_string(::getpid()) + "-" +
              std::to_string(self.incarnation);
    return result;
  }
  self.id = settings.machine_id;
  if (!settings.validate())
    result.problem = bind(settings, result.listening);
  auto where = settings.listen_address();
  auto address = where ? local_address(result.listening, *where) : socket_address{"127.0.0.1", 0};
  if (self.id.empty())
    self.id = host_name() + "/" + to_string(address);
  auto told = settings.advertised_address(address);
  self.address = to_string(told ? *told : address); // a bad one is for `join` to refuse
  return result;
}

std::optional<std::chrono::system_clock::time_point> node_core::certificate_end() const {
  auto end = certificate_end_.load();
  if (end == std::chrono::system_clock::time_point{})
    return std::nullopt;
  return end;
}

/// Reads the files of TLS, which must let the node be who it is; null where it has none.
caf::expected<std::shared_ptr<const tls_context>> node_core::load_tls() {
  auto loaded = settings_.load_tls();
  if (!loaded || !*loaded)
    return loaded;
  if (auto refused = (*loaded)->allow(settings_.app, self_))
    return refused;
  certificate_end_ = (*loaded)->valid_until();
  return loaded;
}

link_broker_setup node_core::broker_setup(std::shared_ptr<const tls_context> tls) {
  auto all = links_setup();
  all.tls = std::move(tls);
  return {.mesh = std::move(all),
          .listening = std::move(listening_),
          .source = settings_.listen_address()->host,
          .busy_poll = settings_.busy_poll,
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
