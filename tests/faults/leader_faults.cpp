// A leader that is killed, or frozen in the middle of a write until another one leads.
#include <csignal>
#include <future>

#include "fly/actors/error.hpp"
#include "fly/repo/rpc_and_wait.hpp"
#include "tests/faults/contract.hpp"
#include "tests/faults/faults.hpp"

namespace fly::faults {

namespace {

std::string leader_of(lab& it) {
  std::string id;
  eventually([&] {
    auto who = it.caller().node.leader();
    id = who ? who->id : "";
    return !id.empty() && it.caller().node.primary().lease.counter > 0;
  });
  return id;
}

/// Writes on the leader again and again until one does that is not `before`.
std::optional<milliseconds> time_until_another_leads(lab& it, const std::string& before) {
  return time_until([&] {
    auto led = rpc_primary(it.caller().db.with({.timeout = 500ms}), lead, "by another", 0);
    return led && **led != before;
  });
}

std::string rows_with(lab& it, const std::string& text) {
  return it.servers.primary().sql("SELECT count(*) FROM rows WHERE text = '" + text + "'");
}

} // namespace

row leader_killed(lab& it, const patience& limits) {
  row result{"leader killed"};
  auto before = leader_of(it);
  auto epoch = it.caller().node.primary().lease;
  result.expect(!before.empty(), "somebody leads");

  it.kill(before);
  result.heal = time_until_another_leads(it, before);

  result.expect_within(result.heal, node_lease + 1s + limits.slack, "another leads");
  result.expect(it.caller().node.primary().lease > epoch, "in a later epoch");
  result.note = "lease of " + std::to_string(node_lease.count()) + " ms";
  it.start(before);
  return result;
}

row leader_frozen(lab& it, const patience& limits) {
  row result{"leader frozen in a write"};
  auto before = leader_of(it);
  // Long enough to be frozen in, and its deadline is far: nothing but the fence can refuse it.
  auto caught = std::async(std::launch::async, [&] {
    return rpc_primary(it.caller().db.with({.timeout = 60s}), lead, "caught", 1000);
  });
  auto is_open = [&] {
    return it.servers.primary().sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in "
                                    "transaction' AND query LIKE '%INSERT%'") == "1";
  };
  result.expect(eventually(is_open), "the write is in its transaction");

  it.signal(before, SIGSTOP);
  result.heal = time_until_another_leads(it, before);
  std::this_thread::sleep_for(2 * node_lease);
  it.signal(before, SIGCONT);

  result.expect_within(result.heal, node_lease + 1s + limits.slack, "another leads");
  result.expect(eventually([&] { return !is_open(); }), "the write has ended after the thaw");
  result.expect(rows_with(it, "caught") == "0", "its commit was refused");
  auto answer = caught.get();
  result.expect(!answer, "its caller has no result");
  if (!answer)
    result.note = "the caller heard " + to_string(code_of(answer.error()));
  return result;
}

} // namespace fly::faults
