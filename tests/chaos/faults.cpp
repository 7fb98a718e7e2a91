// The kinds of faults.
#include <csignal>
#include <stdexcept>

#include "apps/local/eventually.hpp"
#include "tests/chaos/nemesis.hpp"

namespace fly::chaos {

namespace {

using local::eventually;
using testing::action;
using testing::phase;

/// Notes that a fault lasts as long as this object, or until `end`.
class lasting {
public:
  lasting(world& it, std::string kind, std::string target)
      : it_(it), kind_(std::move(kind)), target_(std::move(target)) {
    note(phase::invoke);
  }
  ~lasting() { end(); }
  lasting(const lasting&) = delete;
  lasting& operator=(const lasting&) = delete;

  void end() {
    if (!std::exchange(ended_, true))
      note(phase::ok);
  }

private:
  void note(phase what) {
    it_.record().note({.phase = what, .action = action::fault, .process = target_, .key = kind_});
  }

  world& it_;
  std::string kind_;
  std::string target_;
  bool ended_ = false;
};

std::string database_of(std::size_t region) {
  return std::string{"database-"} + region_names.at(region);
}

void kill_node(hurt& to) {
  auto& which = to.any_machine();
  lasting fault{to.it, "kill-node", which.id};
  to.it.kill(which);
  nap(to.between(300, 1800));
  to.it.start(which);
}

/// Waits, not for ever, until the leader is in the middle of a write.
void wait_for_a_leaders_write(world& it) {
  eventually(
      [&] {
        nap(5ms);
        return it.sql(it.primary,
                      "SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
                      "'INSERT%chaos_epoch()%' AND state = 'idle in transaction'") != "0";
      },
      1s);
}

void freeze_node(hurt& to) {
  auto* leader = to.chance(70) ? to.it.leader() : nullptr;
  auto& which = leader != nullptr ? *leader : to.any_machine();
  if (leader != nullptr)
    wait_for_a_leaders_write(to.it);
  lasting fault{to.it, "freeze-node", which.process()};
  which.running->signal(SIGSTOP);
  // Long enough for another one to lead.
  nap(to.between(2600, 3600));
  which.running->signal(SIGCONT);
}

void cut_region(hurt& to, const char* kind, bool out, bool in) {
  auto region = to.below(region_count);
  lasting fault{to.it, kind, region_names.at(region)};
  for (std::size_t other = 0; other < region_count; ++other)
    if (other != region) {
      if (out)
        to.it.net.cut(region, other);
      if (in)
        to.it.net.cut(other, region);
    }
  nap(to.between(800, 2400));
  to.it.net.heal();
}

void cut_both_ways(hurt& to) {
  cut_region(to, "cut-both-ways", true, true);
}

void cut_one_way(hurt& to) {
  bool out = to.chance(50);
  cut_region(to, "cut-one-way", out, !out);
}

void delay(hurt& to) {
  auto region = to.below(region_count);
  lasting fault{to.it, "delay", region_names.at(region)};
  to.it.net.delay(region, to.between(60, 200));
  nap(to.between(1200, 2000));
  to.it.net.delay(region, 10ms);
}

std::size_t any_database(hurt& to) {
  return to.chance(50) ? to.it.primary : to.below(region_count);
}

void kill_database(hurt& to) {
  auto region = any_database(to);
  lasting fault{to.it, "kill-database", database_of(region)};
  to.it.server(region).kill();
  nap(to.between(200, 800));
  to.it.start_server(region);
}

void freeze_database(hurt& to) {
  auto region = any_database(to);
  lasting fault{to.it, "freeze-database", database_of(region)};
  to.it.server(region).freeze();
  nap(to.between(600, 1600));
  to.it.server(region).thaw();
}

void restart_meanwhile(hurt& to) {
  auto& which = to.any_machine();
  to.it.kill(which);
  to.it.start(which);
}

void silence_dns(hurt& to) {
  lasting fault{to.it, "dns-silent", "dns"};
  for (std::size_t region = 0; region < region_count; ++region)
    to.it.dns(region).freeze();
  restart_meanwhile(to);
  nap(to.between(1000, 1800));
  for (std::size_t region = 0; region < region_count; ++region)
    to.it.dns(region).thaw();
}

void old_dns(hurt& to) {
  lasting fault{to.it, "dns-old", "dns"};
  to.it.set_hosts(100);
  restart_meanwhile(to);
  nap(to.between(1000, 1800));
  to.it.set_hosts(0);
}

/// What pg_rewind cannot mend is copied anew, as an operator would.
void rebuild(world& it, std::size_t region, bool by_rewind) {
  if (by_rewind) {
    try {
      return it.rebuild(region, true);
    } catch (const std::runtime_error&) { // it has said why in its log
    }
  }
  it.rebuild(region, false);
}

bool streams(world& it, std::size_t region) {
  try {
    return it.streams(region);
  } catch (const std::runtime_error&) { // it does not run
    return false;
  }
}

/// Another replica becomes the primary while the old one is cut off and goes on; then it is seen
/// again, still writable, and at last it is made a replica of the new one.
void promote(hurt& to) {
  auto& it = to.it;
  auto old = it.primary;
  auto next = old == 0 ? std::size_t{1} : std::size_t{0};
  {
    lasting cut{it, "cut-of-the-primary", region_names.at(old)};
    for (std::size_t other = 0; other < region_count; ++other)
      if (other != old) {
        it.net.cut(old, other);
        it.net.cut(other, old);
      }
    nap(to.between(300, 900));
    lasting fault{it, "promote", database_of(next)};
    it.promote(next);
    nap(to.between(500, 1500));
    it.net.heal();
  }
  nap(2800ms); // two are writable, and all can hear of both
  lasting fault{it, "rebuild", database_of(old)};
  rebuild(it, old, to.chance(60));
  for (std::size_t region = 0; region < region_count; ++region)
    // One that was further than the new primary cannot follow it.
    if (region != next && !eventually([&] { return streams(it, region); }, 3s))
      rebuild(it, region, false);
}

/// One more node runs the other version of the program.
void deploy(hurt& to) {
  auto& which = to.it.machines[to.below(to.it.machines.size())];
  lasting fault{to.it, "deploy", which.id};
  to.it.stop(which);
  which.version = 3 - which.version;
  to.it.start(which);
  nap(500ms);
}

} // namespace

const std::vector<fault>& all_faults() {
  static const std::vector<fault> all{{"kill-node", kill_node},
                                      {"freeze-node", freeze_node},
                                      {"cut-both-ways", cut_both_ways},
                                      {"cut-one-way", cut_one_way},
                                      {"delay", delay},
                                      {"kill-database", kill_database},
                                      {"freeze-database", freeze_database},
                                      {"dns-silent", silence_dns},
                                      {"dns-old", old_dns},
                                      {"promote", promote},
                                      {"deploy", deploy}};
  return all;
}

} // namespace fly::chaos
