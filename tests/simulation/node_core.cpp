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

std::uint64_t incarnation_now() {
  auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count());
}

} // namespace

node_core::node_core(options settings)
    : host_(running_machine()), settings_(std::move(settings)), self_(open()),
      board_(first_snapshot()), listeners_(settings_.log), bell_(std::make_shared<doorbell>()),
      discovery_(settings_.peers, settings_.discovery_name(), settings_.port) {}

node_core::~node_core() {
  bell_->close();
  for (auto& [link, each] : sockets_)
    each.socket->set_user({});
}

member node_core::open() const {
  return {.id = settings_.machine_id,
          .incarnation = incarnation_now(),
          .region = settings_.region,
          .address = host_.address,
          .version = settings_.app_version};
}

snapshot node_core::first_snapshot() const {
  snapshot first;
  primary rule{settings_.primary_region};
  member_view view;
  view.who = self_;
  view.state = presence::self;
  view.since = std::chrono::system_clock::now();
  first.views.push_back(std::move(view));
  rule.update(first.views);
  first.primary = rule.state();
  return first;
}

mesh_options node_core::links_setup() const {
  mesh_options links;
  links.who = {.self = self_, .cluster = settings_.app, .secret = settings_.secret};
  if (settings_.app_version == "v2") // built later: it speaks a version more of the wire format
    links.who.version_max = wire_version_max + 1;
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
  return links;
}

caf::error node_core::join() {
  mesh_.emplace(links_setup(), *this, board_, listeners_, bell_, std::chrono::steady_clock::now(),
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

node::node(options settings) : core_(std::make_unique<node_core>(std::move(settings))) {}

node::~node() = default;

caf::error node::join() {
  return core_->join();
}

void node::leave() {
  core_->leave();
}

const std::string& node::my_region() const noexcept {
  return core_->settings().region;
}

std::string node::primary_region() const {
  return core_->read()->primary.region;
}

bool node::is_primary() const {
  const auto& group = core_->read()->primary.group;
  return std::any_of(group.begin(), group.end(),
                     [this](const member& who) { return who.id == core_->self().id; });
}

member node::self() const {
  return core_->self();
}

std::vector<member_view> node::views() const {
  return core_->read()->views;
}

primary_state node::primary() const {
  return core_->read()->primary;
}

std::vector<member> node::primary_group() const {
  return core_->read()->primary.group;
}

std::shared_ptr<channel> node::channel_to(std::string_view id) const {
  auto latest = core_->read();
  auto found = latest->channels.find(id);
  return found == latest->channels.end() ? nullptr : found->second;
}

void node::announce(claim database) {
  core_->bell().post([database = std::move(database)](mesh& links) { links.set_claim(database); });
}

void node::announce_services(std::string services) {
  core_->bell().post(
      [services = std::move(services)](mesh& links) { links.set_services(services); });
}

void node::announce_load(std::uint32_t running) {
  core_->bell().post([running](mesh& links) { links.set_load(running); });
}

void node::listen(std::shared_ptr<listener> who) {
  core_->heard_by().add(std::move(who));
}

void node::unlisten(const listener* who) {
  core_->heard_by().remove(who);
}

const options& node::settings() const noexcept {
  return core_->settings();
}

caf::actor_system& node::system() const noexcept {
  std::abort(); // nobody has published an actor
}

} // namespace fly::cluster
