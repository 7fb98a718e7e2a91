#include "tests/chaos/nemesis.hpp"

#include <algorithm>

#include "apps/local/eventually.hpp"

namespace fly::chaos {

machine& hurt::any_machine() {
  std::vector<machine*> near;
  for (auto& each : it.machines)
    if (each.region == it.primary)
      near.push_back(&each);
  if (!near.empty() && chance(50))
    return *near[below(near.size())];
  return it.machines[below(it.machines.size())];
}

namespace {

/// All nodes write, and know each other.
void wait_until_ready(world& it) {
  bool ready = local::eventually(
      [&] {
        nap(50ms);
        for (const auto& each : it.machines)
          if (auto how = each.running->ended())
            throw std::runtime_error{each.id + " has ended, " + *how + ": " +
                                     each.running->log_tail(10)};
        auto writers = it.sql(it.primary, "SELECT count(DISTINCT split_part(list, '/', 1)) FROM "
                                          "notes");
        return std::stoul(writers) == it.machines.size() && it.leader() != nullptr;
      },
      30s);
  if (!ready)
    throw std::runtime_error{"not all nodes write after 30 s"};
}

} // namespace

void run_nemesis(world& it, std::uint64_t seed, std::chrono::seconds seconds,
                 const std::string& only, const std::function<void(const std::string&)>& tell) {
  std::minstd_rand random{static_cast<std::minstd_rand::result_type>(seed)};
  random.discard(16); // small seeds begin alike
  hurt to{it, random};
  wait_until_ready(it);
  auto end = std::chrono::steady_clock::now() + seconds;
  auto over = [&] { return std::chrono::steady_clock::now() >= end; };
  while (!over()) {
    std::vector<fault> round;
    for (const auto& each : all_faults())
      if (only.empty() || only == each.kind)
        round.push_back(each);
    if (round.empty())
      throw std::runtime_error{"no fault is called " + only};
    for (auto i = round.size(); i > 1; --i)
      std::swap(round[i - 1], round[to.below(i)]);
    for (const auto& each : round) {
      if (over())
        break;
      tell(each.kind);
      each.run(to);
      nap(to.between(700, 1100));
    }
  }
}

} // namespace fly::chaos
