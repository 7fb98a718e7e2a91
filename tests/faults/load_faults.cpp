// A frozen peer under load, and the storm.
#include <algorithm>
#include <csignal>
#include <random>

#include "fly/actors/error.hpp"
#include "fly/cluster/channel.hpp"
#include "fly/rpc/codec.hpp"
#include "fly/rpc/verbs.hpp"
#include "tests/faults/contract.hpp"
#include "tests/faults/faults.hpp"
#include "tests/support/program.hpp"

namespace fly::faults {

namespace {

constexpr std::size_t unsent_max = 512 * 1024;
constexpr milliseconds flood_timeout{500};

/// A node beside the caller that does not give a silent member up, and starts calls without waiting
/// for their answers.
class flood {
public:
  explicit flood(lab& it)
      : node_(options_of(it)), rpc_(node_), arguments_(*rpc::encode(std::string(1000, 'x'))) {
    if (auto reason = node_.join())
      throw std::runtime_error{fly::to_string(reason)};
  }

  bool sees(const std::string& id) const { return node_.channel_to(id) != nullptr; }

  /// Starts `a_second` calls of lax-1 for that long. Returns the most bytes that waited.
  std::size_t run(milliseconds how_long, int a_second) {
    std::size_t most = 0;
    auto begin = clock::now();
    auto link = node_.channel_to("lax-1");
    for (int sent = 0; since(begin) < how_long; std::this_thread::sleep_for(1ms)) {
      auto due = static_cast<int>(since(begin).count() * a_second / 1000);
      for (; sent < due; ++sent)
        start_one();
      most = std::max(most, link ? link->unsent_bytes() : 0);
    }
    return most;
  }

  bool at_rest() const {
    auto now = rpc_.counts();
    return now.in_flight == 0 && now.waiting == 0;
  }

  caf::error ask() {
    auto answer = rpc_member(rpc_.with({.timeout = 3s}), "lax-1", where, "x");
    return answer ? caf::error{} : answer.error();
  }

  tally& results() { return results_; }

private:
  static cluster::options options_of(lab& it) {
    auto result = it.node_options("gru", "gru-1", 15);
    result.peers = {"127.0.0.13"};
    result.silence_max = 60s;
    result.unsent_bytes_max = unsent_max;
    return result;
  }

  void start_one() {
    auto begun = clock::now();
    static const rpc::signature wanted = rpc::signature_of<std::string(std::string)>();
    rpc_.start(rpc::target::member("lax-1"), where.name, wanted, arguments_, begun + flood_timeout,
               [this, begun](const caf::expected<rpc::bytes>& outcome) {
                 results_.add(begun, flood_timeout, outcome ? caf::error{} : outcome.error());
               });
  }

  tally results_; // before the endpoint, whose calls end in it
  cluster::node node_;
  rpc::endpoint rpc_;
  rpc::bytes arguments_;
};

} // namespace

row frozen_under_load(lab& it, const patience& limits) {
  row result{"frozen under 10,000 calls/s"};
  flood from{it};
  result.expect(eventually([&] { return from.sees("lax-1"); }), "linked");
  result.expect(!from.ask(), "a call is answered");
  from.run(500ms, 10'000); // warm
  result.expect(eventually([&] { return from.at_rest(); }), "the warm-up ends");

  auto before = resident_kib();
  it.signal("lax-1", SIGSTOP);
  auto unsent = from.run(limits.seconds, 10'000);
  auto grown = resident_kib() - std::min(before, resident_kib());
  result.expect(from.results().counts().contains("overloaded"), "calls end with overloaded");
  result.expect(unsent <= unsent_max + 4096, "unsent " + std::to_string(unsent) + " bytes");
  result.expect(!test::memory_tells || grown <= 48 * 1024,
                "memory grew by " + std::to_string(grown) + " KiB");
  it.signal("lax-1", SIGCONT);
  result.expect(eventually([&] { return from.at_rest(); }), "no call without an outcome");
  result.heal = time_until([&] { return !from.ask(); });
  result.expect_within(result.heal, 5s, "calls are answered after the thaw");
  auto over = from.results().over_deadline();
  result.expect(over <= 100ms + limits.slack, "over the deadline: " + std::to_string(over.count()));
  result.note = text_of(from.results().counts()) + "; unsent " + std::to_string(unsent / 1024) +
                " KiB, memory +" + std::to_string(grown) + " KiB";
  it.settle();
  return result;
}

namespace {

/// Returns 16 threads' calls: reads of the cluster, slow ones, writes.
std::vector<load::call> mix(lab& it) {
  return {call_primary(it),       call_region(it, "syd"),   write_row(it),
          write_and_wait(it),     call_member(it, "lax-1"), call_primary(it),
          call_region(it, "lax"), call_member(it, "syd-2")};
}

/// A second primary node joins, one is killed and started again, one is frozen and thawed.
void hurt(lab& it, milliseconds all, std::minstd_rand& random) {
  auto part = [&](int percent) {
    auto jitter = static_cast<int>(random() % 5);
    std::this_thread::sleep_for(all * (percent + jitter - 2) / 100);
  };
  part(15);
  it.start("syd-2");
  part(20);
  it.kill("syd-1");
  part(10);
  it.start("syd-1");
  part(15);
  it.signal("syd-2", SIGSTOP);
  part(15);
  it.signal("syd-2", SIGCONT);
}

} // namespace

row storm(lab& it, const patience& limits, unsigned seed) {
  constexpr milliseconds timeout{2000};
  row result{"storm, 16 threads"};
  std::minstd_rand random{seed};
  it.kill("syd-2");
  auto begin = clock::now();
  load calls{mix(it), 16, timeout, 0ms};
  std::this_thread::sleep_for(std::min<milliseconds>(limits.seconds / 10, 3s));
  auto before = resident_kib();
  auto before_there = resident_kib(it.pid("lax-1"));

  hurt(it, limits.seconds * 8 / 10, random);
  std::this_thread::sleep_until(begin + limits.seconds);
  auto grown = resident_kib() - std::min(before, resident_kib());
  auto there = resident_kib(it.pid("lax-1"));
  auto grown_there = there - std::min(before_there, there);
  auto stopped = clock::now();
  calls.stop();

  auto over = calls.results().over_deadline();
  result.expect(since(stopped) <= timeout + 1s, "no call without an outcome");
  result.expect(over <= limits.slack,
                "the slowest call is over its deadline by " + std::to_string(over.count()) + " ms");
  result.expect(!test::memory_tells || grown <= 32 * 1024,
                "memory here grew by " + std::to_string(grown) + " KiB");
  result.expect(!test::memory_tells || grown_there <= 32 * 1024,
                "memory of lax-1 grew by " + std::to_string(grown_there) + " KiB");
  auto left = it.caller().rpc.counts();
  result.expect(left.in_flight + left.waiting + left.serving == 0, "nothing is left under way");
  result.heal = time_until([&] { return it.all_well(); });
  result.expect_within(result.heal, 10s, "all are well after it");
  result.note = text_of(calls.results().counts()) + "; slowest over its deadline by " +
                std::to_string(over.count()) + " ms; memory +" + std::to_string(grown) +
                " KiB here, +" + std::to_string(grown_there) + " KiB at lax-1";
  return result;
}

} // namespace fly::faults
