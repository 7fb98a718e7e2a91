// Databases and name servers that are gone, silent, wrong or new.
#include <filesystem>

#include "apps/local/postgres_process.hpp"
#include "fly/actors/error.hpp"
#include "fly/rpc/verbs.hpp"
#include "tests/faults/contract.hpp"
#include "tests/faults/faults.hpp"

namespace fly::faults {

namespace {

using role = enum cluster::claim::role;

std::optional<std::int64_t> rows_at_lax(lab& it) {
  auto found = rpc_member(it.caller().rpc.with({.timeout = 3s}), "lax-1", count);
  return found ? std::optional{*found} : std::nullopt;
}

bool is_unreachable(lab& it) {
  auto seen = it.view("lax-1");
  return seen && seen->database.role == role::unreachable && !seen->database.reason.empty();
}

/// Adds a row on the primary and waits until lax reads as many rows.
std::optional<milliseconds> time_until_read(lab& it) {
  auto wanted = std::stol(it.servers.primary().sql(
      "INSERT INTO rows (text) VALUES ('seen'); SELECT count(*) FROM rows"));
  return time_until([&] {
    auto found = rows_at_lax(it);
    return it.is_well("lax-1") && found && *found >= wanted;
  });
}

/// Checks what a read at lax-1 says while its database does not answer.
void expect_clear_refusal(row& result, lab& it, milliseconds longest) {
  auto begin = clock::now();
  auto read = rpc_member(it.caller().rpc.with({.timeout = 3s}), "lax-1", count);
  auto took = since(begin);
  result.expect(!read, "a read fails");
  if (read)
    return;
  result.expect(read.error() == errc::database_unavailable,
                "it says " + fly::to_string(read.error()));
  result.expect_within(took, longest, "the refusal comes");
  result.note +=
      to_string(code_of(read.error())) + " after " + std::to_string(took.count()) + " ms";
}

/// Makes the files of a replica anew, as after the loss of a disk.
void rebuild(lab& it) {
  namespace fs = std::filesystem;
  auto& server = it.lax_database();
  fs::path folder = server.log_file();
  folder.replace_extension(); // "server1.log" stands beside "server1"
  auto kept = folder.string() + ".kept";
  server.stop();
  fs::create_directory(kept);
  for (const char* file : {"fly.conf", "postgresql.conf", "standby.signal"})
    fs::copy(folder / file, fs::path{kept} / file);
  fs::remove_all(folder);
  local::run_postgres_program({(local::postgres_programs() / "pg_basebackup").string(), "-D",
                               folder.string(), "-U", "postgres", "-h", "127.0.0.1", "-p",
                               std::to_string(it.servers.primary().port()), "-c", "fast",
                               "--no-sync"},
                              server.log_file());
  fs::copy(kept, folder, fs::copy_options::overwrite_existing | fs::copy_options::recursive);
  fs::remove_all(kept);
  local::give_to_postgres(folder);
  server.start();
}

/// Watches that the caller sees all for that long.
void expect_all_stay(row& result, lab& it, milliseconds how_long) {
  auto until = clock::now() + how_long;
  std::size_t least = it.caller().node.members().size();
  while (clock::now() < until) {
    least = std::min(least, it.caller().node.members().size());
    std::this_thread::sleep_for(5ms);
  }
  result.expect(least == 4, "all 4 stay members, and not " + std::to_string(least));
}

/// Kills lax-1 and starts it again: how long until it is found in spite of what DNS says.
std::optional<milliseconds> time_to_join(lab& it) {
  it.kill("lax-1");
  eventually([&] { return !it.view("lax-1"); });
  it.start("lax-1");
  return time_until([&] { return it.is_well("lax-1"); });
}

} // namespace

row database_down(lab& it, const patience&) {
  row result{"database of a region down"};
  auto begin = clock::now();
  it.lax_database().kill();
  result.notice = time_until([&] { return is_unreachable(it); });
  result.notice = result.notice ? std::optional{since(begin)} : std::nullopt;
  result.expect_within(result.notice, 3s, "the reason stands in its row");
  expect_clear_refusal(result, it, 1500ms);
  expect_all_stay(result, it, 1s);
  it.lax_database().start();
  result.heal = time_until_read(it);
  result.expect_within(result.heal, 5s, "reads work again");
  return result;
}

row database_frozen(lab& it, const patience& limits) {
  row result{"database of a region frozen"};
  it.lax_database().freeze();
  expect_clear_refusal(result, it, 1000ms + 200ms + limits.slack); // the read has 1 s
  result.notice = time_until([&] { return is_unreachable(it); });
  result.expect_within(result.notice, 10s, "the reason stands in its row");
  result.expect(it.view("lax-1").has_value(), "the node stays a member");
  it.lax_database().thaw();
  result.heal = time_until_read(it);
  result.expect_within(result.heal, 10s, "reads work again");
  return result;
}

row database_rebuilt(lab& it, const patience&) {
  row result{"database of a region rebuilt"};
  rebuild(it);
  result.heal = time_until_read(it);
  result.expect_within(result.heal, 5s, "reads have the new rows");
  result.note = "new files by pg_basebackup, same port";
  return result;
}

row primary_database_restarted(lab& it, const patience& limits) {
  row result{"primary database restarted"};
  load calls{{write_row(it), write_and_wait(it)}, 4, 2000ms};
  eventually([&] { return calls.results().calls() > 20; });
  it.servers.primary().restart();
  auto begin = calls.results().mark();
  result.expect(eventually([&] { return calls.results().healed().has_value(); }), "writes again");
  result.heal = since(begin);
  result.expect_within(result.heal, 5s, "writes work again");
  std::this_thread::sleep_for(500ms);
  calls.stop();
  auto over = calls.results().over_deadline();
  result.expect(over <= 100ms + limits.slack,
                "no call is over its deadline by " + std::to_string(over.count()) + " ms");
  result.note = text_of(calls.results().counts());
  it.settle();
  return result;
}

row dns_silent(lab& it, const patience& limits) {
  row result{"DNS silent"};
  it.dns.freeze();
  expect_all_stay(result, it, limits.seconds);
  result.heal = time_to_join(it);
  result.expect_within(result.heal, 20s, "a node that starts anew is found by its last address");
  it.dns.thaw();
  it.settle();
  result.note = "a node was killed and came back meanwhile";
  return result;
}

row dns_wrong(lab& it, const patience& limits) {
  row result{"DNS wrong, then empty"};
  it.dns.set_hosts({{"127.0.0.99", "faults.internal"}, {"127.0.0.98", "faults.internal"}});
  expect_all_stay(result, it, limits.seconds);
  it.dns.set_hosts({});
  expect_all_stay(result, it, limits.seconds);
  it.dns.set_hosts(it.hosts());
  result.heal = time_to_join(it);
  result.expect_within(result.heal, 10s, "a node that starts anew is found");
  return result;
}

row dns_old(lab& it, const patience& limits) {
  row result{"DNS full of old addresses"};
  auto hosts = it.hosts();
  for (int i = 100; i < 180; ++i) // on loopback: refused
    hosts.emplace_back("127.0.0." + std::to_string(i), "faults.internal");
  for (int i = 1; i <= 40; ++i) // TEST-NET-1: silence
    hosts.emplace_back("192.0.2." + std::to_string(i), "faults.internal");
  it.dns.set_hosts(hosts);
  expect_all_stay(result, it, limits.seconds);
  result.heal = time_to_join(it);
  result.expect_within(result.heal, 10s, "a node that starts anew is found among them");
  it.dns.set_hosts(it.hosts());
  result.note = "120 dead addresses beside 4";
  it.settle();
  return result;
}

} // namespace fly::faults
