#include "tests/simulation/node_core.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/cluster/wire.hpp"
#include "tests/simulation/world.hpp"

namespace fly::cluster {

using namespace std::chrono_literals;
using simulation::world;

namespace {

simulation::machine& running_machine() {
  auto* here = world::present().when.running();
  assert(here != nullptr);
  return *here;
}

member member_here(const options& settings) {
  return {.id = settings.machine_id,
          .incarnation = incarnation_now(),
          .region = settings.region,
          .address = running_machine().address,
          .version = settings.app_version};
}

} // namespace

node_core::node_core(const options& settings)
    : node_state(settings, member_here(settings)), host_(running_machine()),
      discovery_(settings_.peers, settings_.discovery_name(), settings_.port) {}

node_core::~node_core() {
  bell_->close();
  for (auto& [link, each] : sockets_)
    each.socket->set_user({});
}

caf::error node_core::join() {
  auto all = links_setup();
  if (settings_.app_version == "v2") // built later: it speaks a version more of the wire format
    all.who.version_max = wire_version_max + 1;
  mesh_.emplace(std::move(all), *this, board_, listeners_, bell_, std::chrono::steady_clock::now(),
                std::chrono::system_clock::now());
  auto& net = world::present().net;
  net.listen(host_, [this](std::shared_ptr<simulation::socket> fresh, std::string remote) {
    if (mesh_->has_left())
      return fresh->finish();
    tell_time();
    add(mesh_->on_accepted(std::move(remote)), std::move(fresh));
  });
  bell_->connect([this] {
    // By a message to the I/O thread, which comes when that thread does.
    auto pause = world::present().random.time(0us, 100us);
    world::present().when.after(pause, &host_, [this, alive = std::weak_ptr{alive_}] {
      if (!alive.expired())
        on_wake();
    });
  });
  on_wake();
  later(1ms, &node_core::tick);
  ask_names();
  return {};
}

void node_core::leave() {
  auto until = std::chrono::steady_clock::now() + settings_.kill_timeout * 9 / 10;
  listeners_.each_unlocked([until](listener& who) { who.on_leaving(until); });
  world::present().net.unlisten(host_);
  tell_time();
  mesh_->leave();
}

void node_core::later(simulation::moment local_delay, void (node_core::*what)()) {
  auto due = host_.clock.when(std::chrono::steady_clock::now() + local_delay, simulation::now());
  world::present().when.at(due, &host_, [this, what, alive = std::weak_ptr{alive_}] {
    if (!alive.expired())
      (this->*what)();
  });
}

void node_core::tell_time() {
  mesh_->set_time(std::chrono::steady_clock::now(), std::chrono::system_clock::now());
}

void node_core::tick() {
  mesh_->tick(std::chrono::steady_clock::now(), std::chrono::system_clock::now());
  if (!mesh_->has_left())
    later(std::clamp<std::chrono::milliseconds>(settings_.heartbeat / 4, 1ms, 250ms),
          &node_core::tick);
}

/// As the discovery thread does; the answer takes no time here.
void node_core::ask_names() {
  const auto& known = world::present().names;
  caf::expected<std::vector<std::string>> answer{known};
  if (known.empty())
    answer = make_error(errc::dns_failed, "no answer in time");
  for (std::size_t i = 0; i < discovery_.questions().size(); ++i)
    discovery_.take(i, answer);
  tell_time();
  mesh_->on_addresses(discovery_.addresses());
  if (!mesh_->has_left())
    later(settings_.discovery_interval, &node_core::ask_names);
}

void node_core::on_wake() {
  tell_time();
  auto [tasks, links] = bell_->take();
  for (auto& task : tasks)
    task(*mesh_);
  for (auto link : links)
    mesh_->drain(link);
}

// -- transport ------------------------------------------------------------------------------------

void node_core::add(link_id link, std::shared_ptr<simulation::socket> fresh) {
  auto alive = std::weak_ptr{alive_};
  fresh->set_user({
      .on_bytes =
          [this, link](std::span<const std::byte> bytes) {
            tell_time();
            mesh_->on_bytes(link, bytes);
          },
      .on_taken =
          [this, link](std::size_t unsent) {
            auto found = sockets_.find(link);
            if (found == sockets_.end())
              return;
            found->second.unsent = unsent;
            if (found->second.up)
              found->second.up->in_flight(unsent);
          },
      .on_closed =
          [this, link] {
            sockets_.erase(link);
            tell_time();
            mesh_->on_closed(link,
                             make_error(errc::member_lost, "the other side closed the connection"));
          },
  });
  sockets_[link].socket = std::move(fresh);
}

caf::error node_core::dial(link_id link, const std::string& address) {
  add(link, world::present().net.dial(host_, address));
  return {};
}

void node_core::write(link_id link, std::span<const char> bytes) {
  auto found = sockets_.find(link);
  if (found == sockets_.end())
    return;
  found->second.unsent += bytes.size();
  found->second.socket->send(bytes);
}

void node_core::attach(link_id link, const std::shared_ptr<channel>& up) {
  auto found = sockets_.find(link);
  if (found == sockets_.end())
    return;
  found->second.up = up;
  up->connect(nullptr, found->second.unsent);
}

void node_core::drain(link_id link, const std::shared_ptr<channel>& from) {
  auto found = sockets_.find(link);
  if (found == sockets_.end() || !from->flush())
    return;
  std::vector<char> bytes;
  from->take(bytes);
  write(link, bytes);
}

void node_core::close(link_id link) {
  auto found = sockets_.find(link);
  if (found == sockets_.end())
    return;
  found->second.socket->finish();
  sockets_.erase(found);
}

// -- the face -------------------------------------------------------------------------------------

node::node(options settings) : core_(std::make_unique<node_core>(settings)) {}

node::~node() = default;

caf::error node::join() {
  return core_->join();
}

void node::leave() {
  core_->leave();
}

node_state& node::state() const noexcept {
  return *core_;
}

caf::actor_system& node::system() const noexcept {
  std::abort(); // nobody has published an actor
}

} // namespace fly::cluster
