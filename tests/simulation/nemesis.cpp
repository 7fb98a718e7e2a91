#include "tests/simulation/nemesis.hpp"

#include <algorithm>

#include "tests/simulation/cluster_run.hpp"

namespace fly::simulation {

using namespace std::chrono_literals;

namespace {

std::vector<std::string> names_of(const cluster_run& run, std::size_t first, std::size_t count) {
  std::vector<std::string> result;
  for (std::size_t i = first; i < first + count; ++i)
    result.push_back("10.0.0." + std::to_string(i + 1));
  (void)run;
  return result;
}

} // namespace

void nemesis::begin(moment until) {
  auto& all = run_.all();
  all.names = names_of(run_, 0, run_.machines().size());
  for (auto& each : run_.machines())
    all.when.after(random_.time(0s, 2s), nullptr,
                   [this, who = each.get()] { run_.start(*who, "v1"); });
  // Some runs see few faults, some one after the other.
  auto pause = std::chrono::milliseconds{random_.between(300, 4000)};
  for (moment at = 2s; at < until; at += random_.time(1ms, 2 * pause))
    all.when.at(at, nullptr, [this] { strike(); });
}

void nemesis::strike() {
  switch (random_.below(16)) {
  case 0:
  case 1:
  case 2:
    return kill();
  case 3:
    return freeze();
  case 4:
  case 5:
    return cut_machines();
  case 6:
    return cut_region();
  case 7:
    return reset();
  case 8:
    return silence_names();
  case 9:
    return disturb_clock();
  case 10:
    return worsen_network();
  case 11:
    return deploy();
  case 12:
    return promote();
  default:
    return hurt_database();
  }
}

machine& nemesis::somebody() {
  return *random_.one_of(run_.machines());
}

moment nemesis::lasting() {
  return random_.percent(50) ? random_.time(10ms, 1s) : random_.time(1s, 12s);
}

void nemesis::kill() {
  auto& who = somebody();
  if (!run_.runs(who))
    return;
  run_.crash(who, random_.percent(60));
  run_.all().when.after(random_.percent(30) ? 1ms : lasting(), nullptr, [this, &who] {
    if (!run_.runs(who))
      run_.start(who, random_.percent(50) ? "v1" : "v2");
  });
}

void nemesis::freeze() {
  auto& who = somebody();
  if (!run_.runs(who) || who.frozen)
    return;
  who.frozen = true;
  run_.all().log.add(who.id, "freezes");
  run_.all().when.after(lasting(), nullptr, [this, &who, life = who.life] {
    if (who.life != life || !who.frozen)
      return;
    run_.all().log.add(who.id, "thaws");
    run_.all().when.thaw(who);
  });
}

void nemesis::cut_machines() {
  auto& a = somebody();
  auto& b = somebody();
  if (&a == &b)
    return;
  auto& all = run_.all();
  bool both = random_.percent(50);
  all.log.add(a.id, (both ? "is cut off from " : "does not reach ") + b.id);
  all.net.cut(a, b);
  if (both)
    all.net.cut(b, a);
  all.when.after(lasting(), nullptr, [this, &all, &a, &b, both] {
    if (over_)
      return;
    all.log.add(a.id, "reaches " + b.id);
    all.net.heal(a, b);
    if (both)
      all.net.heal(b, a);
  });
}

void nemesis::cut_region() {
  auto region = random_.one_of(run_.common().regions);
  auto& all = run_.all();
  auto way = random_.below(3); // both, out, in
  std::vector<std::pair<machine*, machine*>> cuts;
  for (auto& a : run_.machines())
    for (auto& b : run_.machines()) {
      if (a->region != region || b->region == region)
        continue;
      if (way != 2)
        cuts.emplace_back(a.get(), b.get());
      if (way != 1)
        cuts.emplace_back(b.get(), a.get());
    }
  all.log.add(region, way == 0 ? "is cut off" : way == 1 ? "reaches nobody" : "is not reached");
  for (auto [a, b] : cuts)
    all.net.cut(*a, *b);
  all.when.after(lasting(), nullptr, [this, &all, region, cuts] {
    if (over_)
      return;
    all.log.add(region, "is whole again");
    for (auto [a, b] : cuts)
      all.net.heal(*a, *b);
  });
}

void nemesis::reset() {
  auto& a = somebody();
  auto& b = somebody();
  if (&a == &b)
    return;
  run_.all().log.add(a.id, "has its connections with " + b.id + " reset");
  run_.all().net.reset(a, b);
}

void nemesis::silence_names() {
  auto& all = run_.all();
  auto count = run_.machines().size();
  if (random_.percent(50)) {
    all.log.add("dns", "is silent");
    all.names.clear();
  } else { // some are missing, some are of machines that are no more
    all.log.add("dns", "answers with old addresses");
    all.names = names_of(run_, random_.below(count), 1 + random_.below(count));
  }
  all.when.after(lasting(), nullptr, [this, count] {
    if (over_)
      return;
    run_.all().log.add("dns", "is right again");
    run_.all().names = names_of(run_, 0, count);
  });
}

void nemesis::disturb_clock() {
  auto& who = somebody();
  auto& all = run_.all();
  if (random_.percent(50)) {
    auto by = std::chrono::milliseconds{random_.between(-5000, 5000)};
    all.log.add(who.id, "has its wall clock stepped by " + std::to_string(by.count()) + " ms");
    who.clock.step(by);
    return;
  }
  auto rate = random_.between(-20'000, 20'000);
  all.log.add(who.id, "has a clock that is fast by " + std::to_string(rate) + " of a million");
  who.clock.drift(rate, now());
  all.when.after(lasting(), nullptr, [&who] { who.clock.drift(0, now()); });
}

void nemesis::worsen_network() {
  auto& all = run_.all();
  auto before = all.net.quality;
  all.net.quality.loss_percent = random_.below(30);
  all.net.quality.far_latency = std::chrono::milliseconds{random_.between(1, 300)};
  all.net.quality.jitter = std::chrono::milliseconds{random_.between(1, 100)};
  all.log.add("network", "loses " + std::to_string(all.net.quality.loss_percent) + " of a hundred");
  all.when.after(lasting(), nullptr, [this, &all, before] {
    if (over_)
      return;
    all.log.add("network", "is better again");
    all.net.quality = before;
  });
}

/// Leaves in order, comes back as another version.
void nemesis::deploy() {
  auto& who = somebody();
  if (!run_.runs(who) || who.frozen || run_.leaves(who))
    return;
  run_.deploy(who, "v" + std::to_string(1 + ++deploys_ % 2));
}

void nemesis::hurt_database() {
  auto& server = *random_.one_of(run_.databases().all());
  auto& all = run_.all();
  if (!server.is_up() || server.host().frozen)
    return;
  switch (random_.below(5)) {
  case 0:
    server.crash();
    return all.when.after(lasting(), nullptr, [this, &server] {
      if (!over_ && !server.is_up()) {
        run_.all().log.add(server.host().id, "is up again");
        server.restart();
      }
    });
  case 1:
    all.log.add(server.host().id, "freezes");
    server.host().frozen = true;
    return all.when.after(lasting(), nullptr, [this, &server] {
      if (over_ || !server.host().frozen)
        return;
      run_.all().log.add(server.host().id, "thaws");
      server.host().frozen = false;
      server.disturbed = now();
    });
  case 2:
  case 3:
    server.clock_offset += std::chrono::milliseconds{random_.between(-3000, 3000)};
    return all.log.add(server.host().id, "has its clock stepped: it is off by " +
                                             std::to_string(server.clock_offset / 1ms) + " ms");
  default:
    all.log.add(server.host().id, "replays nothing for a while");
    server.stalled_until = now() + lasting();
  }
}

/// Another server becomes the primary; the old one is down, or goes on for a while without knowing.
void nemesis::promote() {
  auto& servers = run_.databases();
  auto& old = servers.primary();
  auto& fresh = *random_.one_of(servers.all());
  if (&old == &fresh || !fresh.is_up() || fresh.host().frozen || !fresh.in_recovery())
    return;
  for (const auto& each : servers.all()) // one at a time
    if (each.get() != &old && !each->in_recovery())
      return;
  if (random_.percent(60) && old.is_up())
    old.crash();
  ++run_.told().counts.promotions;
  servers.promote(fresh.region());
  run_.all().when.after(lasting(), nullptr, [this, &old] {
    if (!over_ && &run_.databases().primary() != &old)
      old.rebuild(run_.databases().primary());
  });
}

void nemesis::end() {
  over_ = true;
  auto& all = run_.all();
  all.log.add("nemesis", "ends all faults");
  all.net.heal_all();
  all.net.quality = {};
  all.names = names_of(run_, 0, run_.machines().size());
  auto& servers = run_.databases();
  for (auto& each : servers.all()) {
    each->host().frozen = false;
    each->stalled_until = now();
    each->disturbed = now();
    if (!each->is_up())
      each->restart();
  }
  for (auto& each : servers.all())
    if (each.get() != &servers.primary() && !each->follows(servers.primary()))
      each->rebuild(servers.primary());
  for (auto& each : run_.machines()) {
    each->clock.drift(0, now());
    if (each->frozen)
      all.when.thaw(*each);
    if (!run_.runs(*each))
      run_.start(*each, "v2");
  }
}

} // namespace fly::simulation
