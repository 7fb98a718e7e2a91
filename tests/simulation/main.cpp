// Runs simulated clusters, one for each seed: tests/simulation/run tells how.
#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/simulation/cluster_run.hpp"
#include "tests/simulation/scale.hpp"

namespace {

using namespace fly::simulation;

struct arguments {
  std::uint64_t seeds = 100;
  std::uint64_t first = 1;
  double seconds_max = 0; // 0: no limit
  bool trace = false;
  bool bad = false;
};

arguments parse(int count, char** texts) {
  arguments result;
  bool seed_given = false;
  bool seeds_given = false;
  for (int i = 1; i < count; ++i) {
    std::string_view flag{texts[i]};
    auto value = [&] { return i + 1 < count ? std::strtoull(texts[++i], nullptr, 10) : 0; };
    if (flag == "--seeds") {
      result.seeds = value();
      seeds_given = true;
    } else if (flag == "--seed") {
      result.first = value();
      seed_given = true;
    } else if (flag == "--seconds") {
      result.seconds_max = static_cast<double>(value());
    } else if (flag == "--trace") {
      result.trace = true;
    } else {
      result.bad = true;
    }
  }
  if (seed_given && !seeds_given)
    result.seeds = 1;
  return result;
}

void print(const run_result& what) {
  for (const auto& line : what.lines)
    std::printf("%s\n", line.c_str());
}

void print(const tallies& what) {
  std::printf("%" PRIu64 " writes: %" PRIu64 " acknowledged (%" PRIu64 " visible, %" PRIu64
              " by the ledger), %" PRIu64 " unknown, %" PRIu64 " of which nothing remains\n",
              what.writes, what.acknowledged, what.visible, what.repeated, what.unknown,
              what.nothing_ran);
  std::printf(
      "%" PRIu64 " leaders' commits; %" PRIu64 " promotions, %" PRIu64
      " acknowledged writes past their switch points; %" PRIu64 " calls, %" PRIu64 " answers\n",
      what.leader_commits, what.promotions, what.lost_at_promotion, what.calls, what.answers);
}

} // namespace

int main(int count, char** texts) {
  if (count > 1 && std::string_view{texts[1]} == "scale")
    return measure_scale(count > 3 && std::string_view{texts[2]} == "--json" ? texts[3] : "");
  auto wanted = parse(count, texts);
  if (wanted.bad) {
    std::fprintf(stderr, "see tests/simulation/run --help\n");
    return 2;
  }
  auto begun = real_seconds();
  std::uint64_t done = 0;
  std::uint64_t events = 0;
  moment longest{0};
  tallies counts;
  for (; done < wanted.seeds; ++done) {
    auto seed = wanted.first + done;
    auto result = cluster_run{seed, wanted.trace}.run();
    events += result.events;
    counts += result.counts;
    longest = std::max(longest, result.agreed);
    if (wanted.trace)
      print(result);
    if (wanted.trace || wanted.seeds == 1)
      std::printf("seed %" PRIu64 ": hash %016" PRIx64 ", %" PRIu64 " events\n", seed, result.hash,
                  result.events);
    if (!result.violation.empty()) {
      if (!wanted.trace)
        print(result);
      std::printf("seed %" PRIu64 " FAILED: %s\n", seed, result.violation.c_str());
      std::printf("all of it: tests/simulation/run --seed %" PRIu64 " --trace\n", seed);
      return 1;
    }
    if (wanted.seconds_max > 0 && real_seconds() - begun > wanted.seconds_max) {
      ++done;
      break;
    }
  }
  print(counts);
  auto took = real_seconds() - begun;
  std::printf("%" PRIu64 " seeds, no rule broken; %.1f seeds/s, %.0f events/s; the members agreed "
              "%.1f s after the last fault at the latest\n",
              done, static_cast<double>(done) / took, static_cast<double>(events) / took,
              std::chrono::duration<double>(longest).count());
}
