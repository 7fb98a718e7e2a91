#include "tests/simulation/cluster_run.hpp"

#include <algorithm>
#include <utility>

#include "fly/cluster/channel.hpp"
#include "tests/simulation/nemesis.hpp"

namespace fly::simulation {

using namespace std::chrono_literals;

namespace {

/// How long faults go on, and how long the members must agree without a break: longer than what was
/// lost before the faults ended waits until it is sent again.
constexpr moment faults_last = 30s;
constexpr moment calm = 5s;

} // namespace

shape cluster_run::shape_of(random_source& random) {
  shape result;
  result.machines = static_cast<std::size_t>(random.between(3, 7));
  result.heartbeat = std::chrono::milliseconds{random.between(2, 10) * 100};
  result.silence_max = result.heartbeat * random.between(4, 8);
  result.dial_max = std::chrono::milliseconds{random.between(1, 5) * 1000};
  result.discovery_interval = std::chrono::milliseconds{random.between(5, 30) * 100};
  return result;
}

cluster_run::cluster_run(std::uint64_t seed, bool keep_trace)
    : world_(seed, keep_trace), shape_(shape_of(world_.random)), databases_(world_, shape_.regions),
      told_(world_) {
  world_.databases = &databases_;
  make_machines();
}

cluster_run::~cluster_run() {
  for (auto& each : machines_)
    if (runs(*each))
      crash(*each, false);
}

void cluster_run::make_machines() {
  for (std::size_t i = 0; i < shape_.machines; ++i) {
    auto fresh = std::make_unique<machine>();
    fresh->index = i;
    fresh->region = shape_.regions[i % shape_.regions.size()];
    fresh->id = fresh->region + "-" + std::to_string(i);
    fresh->address = "10.0.0." + std::to_string(i + 1) + ":4370";
    fresh->clock.step(world_.random.time(0s, 2s));
    world_.net.add(*fresh);
    machines_.push_back(std::move(fresh));
  }
  programs_.resize(shape_.machines);
  leaving_.resize(shape_.machines);
}

void cluster_run::start(machine& who, const std::string& version) {
  who.powered = true;
  world_.when.at(now(), &who, [this, &who, version] {
    if (runs(who))
      return;
    who.clock.step(1us); // a later start has a higher incarnation
    world_.log.add(who.id, "starts, version " + version);
    programs_[who.index] = std::make_unique<program>(world_, told_, who, shape_, version);
  });
}

void cluster_run::crash(machine& who, bool told) {
  world_.log.add(who.id, told ? "is killed" : "loses power");
  if (runs(who))
    programs_[who.index]->service().fall_silent();
  world_.net.crash(who, told);
  world_.threads.kill(who);
  programs_[who.index].reset();
  told_.crashed(who);
  leaving_[who.index] = false;
  ++who.life;
  who.frozen = false;
  who.deferred.clear();
  who.powered = told;
}

void cluster_run::deploy(machine& who, const std::string& version) {
  leaving_[who.index] = true;
  world_.log.add(who.id, "leaves");
  world_.threads.start(who, [this, &who, version] {
    programs_[who.index]->leave();
    pass(50ms);
    world_.when.at(now(), nullptr, [this, &who, version] {
      crash(who, true);
      start(who, version);
    });
  });
}

// -- the run --------------------------------------------------------------------------------------

void cluster_run::go_on(moment until) {
  while (world_.violation.empty() && world_.when.step(until)) {
    ++events_;
    auto* last = world_.when.last();
    if (last != nullptr && last->index < machines_.size() && runs(*last) && events_ % 8 == 0)
      check_step(*programs_[last->index]);
  }
}

/// Returns how long the members took to agree for good.
moment cluster_run::settle() {
  auto healed = now();
  auto since = healed;
  while (world_.violation.empty() && now() - since < calm) {
    go_on(now() + 50ms);
    if (agrees())
      continue;
    since = now();
    if (since - healed > agree_max())
      world_.violate("the members do not agree " + std::to_string(agree_max() / 1ms) +
                     " ms after the last fault: " + disagreement());
  }
  return since - healed;
}

/// Lets all operations end, and looks at what is left.
void cluster_run::end_users() {
  for (auto& each : programs_)
    each->service().stop_users();
  for (auto end = now() + 6s; now() < end && world_.violation.empty();) {
    go_on(now() + 50ms);
    told_.check_deadlines();
  }
  for (auto& each : programs_) {
    auto& service = each->service();
    auto counts = service.rpc().counts();
    auto waits = service.database().tracker()->waiting();
    if (counts.in_flight + counts.waiting + counts.serving + waits > 0)
      world_.violate(each->host().id + " has calls or waits that nobody has asked for");
  }
  if (world_.violation.empty())
    told_.check_end(databases_);
}

run_result cluster_run::run() {
  nemesis fate{*this, random_source{world_.random.next()}};
  fate.begin(faults_last);
  while (now() < faults_last && world_.violation.empty()) {
    go_on(now() + 50ms);
    told_.check_deadlines();
  }
  fate.end();
  run_result result;
  result.agreed = settle();
  if (world_.violation.empty())
    end_users();
  result.counts = told_.counts;
  result.violation = world_.violation;
  result.hash = world_.log.hash();
  result.events = events_;
  result.lines = world_.log.lines();
  return result;
}

// -- the rules ------------------------------------------------------------------------------------

/// How long the members may take to agree: who is gone is silent for so long, a dial that was lost
/// ends, the next one is due, and what was cut is sent again.
moment cluster_run::agree_max() const {
  return shape_.silence_max + 2 * (shape_.handshake_timeout + shape_.dial_max) +
         2 * shape_.discovery_interval + 8s;
}

void cluster_run::check_step(program& who) {
  auto& service = who.service();
  auto counts = service.rpc().counts();
  const auto& bounds = service.bounds();
  if (counts.in_flight + counts.waiting > bounds.calls_max)
    world_.violate(who.host().id + " has more calls under way than it may");
  if (service.rpc().workers().load() > bounds.workers + bounds.queue_max)
    world_.violate(who.host().id + " has more calls queued than it may");
  if (service.database().tracker()->waiting() > bounds.waiters_max)
    world_.violate(who.host().id + " has more waiters than it may");
  auto latest = who.node().views();
  auto primary = who.node().primary();
  for (const auto& view : latest)
    if (primary.by_database && view.database.timeline != primary.timeline &&
        std::find(primary.group.begin(), primary.group.end(), view.who) != primary.group.end())
      world_.violate(who.host().id + " routes to " + view.who.id +
                     ", whose database is on timeline " + std::to_string(view.database.timeline) +
                     " while there is " + std::to_string(primary.timeline));
  for (const auto& view : latest) {
    auto up = who.node().channel_to(view.who.id);
    // Heartbeats and announcements come on top.
    if (up && up->unsent_bytes() > shape_.unsent_bytes_max + 8 * 1024)
      world_.violate(who.host().id + " keeps " + std::to_string(up->unsent_bytes()) +
                     " unsent bytes for " + view.who.id);
  }
}

bool cluster_run::sees_all(program& who) {
  auto views = who.node().views();
  if (views.size() != machines_.size())
    return false;
  return std::all_of(views.begin(), views.end(), [this](const cluster::member_view& view) {
    if (view.state == cluster::presence::self)
      return true;
    return view.state == cluster::presence::alive && view.linked &&
           std::any_of(programs_.begin(), programs_.end(), [&](const auto& each) {
             return each && same_process(each->node().self(), view.who);
           });
  });
}

/// Whether it knows the primary group, and who leads.
bool cluster_run::sees_primary(program& who) {
  auto seen = who.node().primary();
  std::size_t members = 0;
  for (const auto& each : programs_)
    members += each->host().region == databases_.primary().region() ? 1U : 0U;
  bool right = std::all_of(seen.group.begin(), seen.group.end(), [&](const auto& each) {
    return each.region == databases_.primary().region();
  });
  return right && seen.group.size() == members && seen.zombies.empty() && seen.conflict.empty() &&
         (members == 0 || seen.leader == databases_.primary().rows().lease_holder);
}

bool cluster_run::agrees() {
  return std::all_of(programs_.begin(), programs_.end(), [this](const auto& each) {
    return each && sees_all(*each) && sees_primary(*each);
  });
}

std::string cluster_run::disagreement() {
  std::string result;
  for (const auto& each : programs_) {
    if (!each)
      return "one does not run";
    if (sees_all(*each) && sees_primary(*each))
      continue;
    auto primary = each->node().primary();
    result += each->host().id + " sees timeline " + std::to_string(primary.timeline) +
              ", leader '" + primary.leader + "', primary group";
    for (const auto& one : primary.group)
      result += " " + one.id;
    result += "; members";
    for (const auto& view : each->node().views())
      result += " " + view.who.id + "(" + std::string{to_string(view.state)} +
                (view.linked ? "" : ", no link") + ")";
    result += "; ";
  }
  return result;
}

} // namespace fly::simulation
