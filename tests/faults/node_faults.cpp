// Nodes that are killed, started again, frozen, asked to leave, or started in an odd order.
#include <algorithm>
#include <csignal>

#include "fly/actors/error.hpp"
#include "fly/rpc/verbs.hpp"
#include "tests/faults/contract.hpp"
#include "tests/faults/faults.hpp"

namespace fly::faults {

namespace {

/// Notes the failures of calls that were begun at or after `when`, and of those before it the ones
/// that are wrong: only "unknown" may be said of a call to a member that dies.
void expect_no_new_failure(row& result, const tally& calls, clock::time_point when) {
  std::size_t unknown = 0;
  for (const auto& it : calls.failures()) {
    bool is_unknown = effect_of(it.reason) == effect::unknown;
    unknown += is_unknown ? 1 : 0;
    result.expect(it.begun < when, "a new call failed: " + fly::to_string(it.reason));
    result.expect(is_unknown,
                  "a call failed that could go elsewhere: " + fly::to_string(it.reason));
  }
  result.note +=
      std::to_string(unknown) + " of " + std::to_string(calls.calls()) + " calls unknown, ";
}

std::optional<milliseconds> time_from(clock::time_point begin,
                                      const std::optional<clock::time_point>& end) {
  if (!end)
    return std::nullopt;
  return std::chrono::duration_cast<milliseconds>(*end - begin);
}

} // namespace

row node_killed(lab& it, const patience& limits) {
  row result{"node killed"};
  load calls{{call_primary(it), write_row(it)}, 4, 2000ms};
  slow_calls slow{it, "syd-1", 8, 20s};
  result.expect(slow.running(), "8 slow calls run");

  auto begin = clock::now();
  it.kill("syd-1");
  for (const auto& reason : slow.get())
    result.expect(reason == errc::member_lost,
                  "a running call is lost, not " + fly::to_string(reason));
  auto noticed = calls.results().mark();
  result.notice = since(begin);
  eventually([&] { return calls.results().healed().has_value(); }, 5s);
  std::this_thread::sleep_for(1s);
  calls.stop();

  result.heal = time_from(begin, calls.results().healed());
  result.expect_within(result.notice, 500ms + limits.slack, "running calls end");
  result.expect_within(result.heal, 500ms + limits.slack, "the second node takes over");
  expect_no_new_failure(result, calls.results(), noticed);
  result.note += "8 running ones lost";
  it.start("syd-1");
  return result;
}

row node_started_again(lab& it, const patience&) {
  row result{"node killed, started again"};
  auto before = it.view("syd-1");
  it.kill("syd-1");
  it.start("syd-1");
  result.heal = time_until([&] {
    auto now = it.view("syd-1");
    return before && now && now->who.incarnation > before->who.incarnation && it.is_well("syd-1");
  });
  result.expect_within(result.heal, 10s, "the member is back, with its database");
  result.note = "from exec to a primary that serves";
  return result;
}

row node_frozen(lab& it, const patience& limits) {
  row result{"node frozen (SIGSTOP)"};
  load calls{{call_primary(it)}, 2, 4000ms};
  auto before = it.view("syd-2");
  result.expect(before.has_value(), "syd-2 is there");
  auto limit = silence_max + heartbeat + limits.slack;

  auto begin = clock::now();
  it.signal("syd-2", SIGSTOP);
  result.notice = time_until([&] { return !it.view("syd-2"); });
  result.expect_within(result.notice, limit, "gone from the views");
  auto gone = calls.results().mark();
  eventually([&] { return calls.results().healed().has_value(); }, 5s);
  result.expect_within(time_from(begin, calls.results().healed()), limit + 500ms,
                       "calls go to the other one");

  it.signal("syd-2", SIGCONT);
  result.heal = time_until([&] { return it.is_well("syd-2"); });
  result.expect_within(result.heal, 3s, "back after the thaw");
  auto after = it.view("syd-2");
  result.expect(before && after && same_process(before->who, after->who), "it is the same member");
  calls.stop();
  expect_no_new_failure(result, calls.results(), gone);
  result.note += "limit " + std::to_string(limit.count()) + " ms";
  return result;
}

row node_leaves(lab& it, const patience& limits) {
  row result{"node leaves (SIGTERM)"};
  load calls{{call_primary(it), write_row(it)}, 4, 2000ms};
  slow_calls slow{it, "syd-1", 4, 1200ms};
  result.expect(slow.running(), "4 slow calls run");

  auto begin = clock::now();
  it.signal("syd-1", SIGTERM);
  for (const auto& reason : slow.get())
    result.expect(!reason, "a running call is answered, not " + fly::to_string(reason));
  auto answered = since(begin);
  result.expect_within(time_until([&] { return !it.view("syd-1"); }), 1s + limits.slack,
                       "it says goodbye");
  result.notice = since(begin);
  result.expect(eventually([&] { return it.ended("syd-1").has_value(); }, 5s), "it ends");
  result.expect(it.ended("syd-1") == "exit code 0",
                "exit code 0, not " + it.ended("syd-1").value_or("running"));
  calls.stop();
  for (const auto& failed : calls.results().failures())
    result.expect(false, "a call failed: " + fly::to_string(failed.reason));
  result.note = "running calls answered after " + std::to_string(answered.count()) + " ms, " +
                text_of(calls.results().counts());

  it.start("syd-1");
  result.heal = time_until([&] { return it.is_well("syd-1"); });
  result.expect_within(result.heal, 10s, "back after a start");
  return result;
}

row start_order(lab& it, const patience&) {
  row result{"started before all it needs"};
  it.kill("lax-1");
  it.lax_database().stop();
  it.dns.set_hosts({{"127.0.0.13", "faults.internal"}}); // knows only itself
  it.start("lax-1");
  // The caller knows lax-1's address from before, and would dial it: so that it must not.
  std::this_thread::sleep_for(silence_max + heartbeat);
  it.dns.set_hosts(it.hosts());
  auto found = time_until([&] {
    auto seen = it.view("lax-1");
    return seen && seen->linked && !seen->services.empty();
  });
  result.expect_within(found, 10s, "found without DNS and database at its start");
  auto answer = rpc_member(it.caller().rpc.with({.timeout = 3s}), "lax-1", where, "x");
  result.expect(answer.engaged(), "its functions are served");
  it.lax_database().start();
  result.heal = time_until([&] { return it.is_well("lax-1"); });
  result.expect_within(result.heal, 5s, "its database is found");
  result.note = "database and DNS came later";
  return result;
}

} // namespace fly::faults
