// Proves flycluster on real processes: what it prints, in text and as JSON, how it ends, and that
// each mistake in the command is named.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <unistd.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/apps/local_cluster.hpp"
#include "tests/apps/shell.hpp"
#include "tests/support/postgres.hpp"

using namespace fly::test;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

shell_answer flycluster(const std::string& words) {
  return shell(std::string{"env -i PATH=$PATH "} + FLYCLUSTER + " " + words);
}

/// Returns how many findings on `topic` are in `state`.
int count(const json& report, const std::string& topic, const std::string& state) {
  int result = 0;
  for (const auto& each : report["findings"])
    result += each["topic"] == topic && each["state"] == state;
  return result;
}

std::string environment_of_nobody() {
  return "env -i PATH=$PATH FLY_PEERS=127.0.0.1:1 ";
}

} // namespace

TEST_CASE("status, call and doctor look into a running cluster") {
  local_cluster shop;

  auto status = shop.flycluster("lax", "status");
  CHECK(status.code == 0);
  CHECK(has(status.text, "machine-syd"));
  CHECK(has(status.text, "leader: machine-syd, epoch 1/1"));
  auto rows = json::parse(shop.flycluster("lax", "--json status").text);
  CHECK(rows["members"].size() == 3);

  CHECK(shop.flycluster("lax", "call guestbook.shout '\"hello\"'").text == "\"hello!\"\n");
  auto negative = shop.flycluster("lax", "call guestbook.shout -5"); // no flag, and no text
  CHECK(negative.code == 1);
  CHECK(has(negative.text, "got -5"));
  auto quotes = shop.flycluster("lax", "call guestbook.shout hello");
  CHECK(quotes.code == 1);
  CHECK(has(quotes.text, "needs its quotes"));
  auto unknown = shop.flycluster("lax", "--json call guestbook.no");
  CHECK(unknown.code == 1);
  CHECK(json::parse(unknown.text)["code"] == "unknown_function");
  auto nowhere = shop.flycluster("lax", "--timeout 0.5 --in hkg call guestbook.shout '\"x\"'");
  CHECK(nowhere.code == 1);
  CHECK(has(nowhere.text, "hkg"));

  auto healthy = shop.flycluster("lax", "doctor");
  CHECK_MESSAGE(healthy.code == 0, healthy.text);
  CHECK(has(healthy.text, "0 problems"));
  auto report = json::parse(shop.flycluster("lax", "--json doctor").text);
  CHECK(report["problems"] == 0);
  for (const char* topic : {"environment", "secret", "DNS", "ports", "database", "rights", "schema",
                            "members", "databases", "versions", "clocks"}) {
    CAPTURE(topic);
    CHECK(count(report, topic, "ok") >= 1);
  }
  CHECK(count(report, "clocks", "ok") == 3);
}

TEST_CASE("doctor names what is wrong and what to do") {
  local_cluster shop;
  auto with = [&](const std::string& change) {
    return shop.flycluster("lax", "--json --timeout 1.5 doctor " + change);
  };

  auto database = with("--database-url postgresql://app@127.0.0.1:1/app");
  CHECK(database.code == 1);
  auto report = json::parse(database.text);
  CHECK(count(report, "database", "problem") == 1);
  CHECK(report["problems"] == 1);
  CHECK_FALSE(has(with("--database-url postgresql://app:hunter2@127.0.0.1:1/app").text, "hunter2"));

  auto unusable = with("--database-url banana");
  CHECK(unusable.code == 1);

  auto name = json::parse(with("--dns-name nobody.internal").text);
  CHECK(count(name, "DNS", "problem") == 1);
  CHECK(count(name, "members", "problem") == 1);

  auto flag = json::parse(with("--listen 0.0.0.0").text);
  CHECK(count(flag, "environment", "problem") == 1);

  auto peer = json::parse(with("--peer 127.0.0.1:1").text);
  CHECK(peer["problems"] == 0); // the others answer
  CHECK(count(peer, "ports", "warning") == 1);

  for (const auto& each : report["findings"])
    if (each["state"] != "ok")
      CHECK_FALSE(each["advice"].get<std::string>().empty());
}

TEST_CASE("the guestbook answers those who watch it on its admin port") {
  local_cluster shop;
  std::this_thread::sleep_for(200ms); // a member is known by its name soon after it has come
  REQUIRE(has(shop.write("lax", "for the metrics").text, "\"visible\":true"));

  auto metrics = shop.curl("lax", "9100/metrics").text;

  CHECK(has(metrics, "fly_calls_total{function=\"guestbook.sign\",outcome=\"ok\","
                     "region=\"syd\",side=\"caller\"}"));
  CHECK(has(metrics, "fly_replication_lag_seconds"));
  CHECK(has(metrics, "fly_links 2"));
  CHECK(has(metrics, "fly_supervisor_restarts_total{child=\"tracker\"} 0"));
  CHECK(has(shop.curl("syd", "9100/metrics").text,
            "fly_calls_total{function=\"guestbook.sign\",outcome=\"ok\","
            "region=\"lax\",side=\"server\"}"));
  CHECK(has(shop.curl("lax", "9100/readyz").text, "\"ready\":true"));
  CHECK(json::parse(shop.curl("lax", "9100/status").text)["members"].size() == 3);
  auto refused = shell(std::string{"env -i PATH=$PATH DATABASE_URL=postgresql:///app timeout 10 "} +
                       GUESTBOOK + " --port 0 --http 127.0.0.1:0 --admin 0.0.0.0:9100");
  CHECK(refused.code == 1);
  CHECK(has(refused.text, "admin address"));
}

TEST_CASE("a cluster that is not there is exit code 1, with what was tried") {
  auto status = shell(environment_of_nobody() + FLYCLUSTER + " --timeout 0.3 status");
  CHECK(status.code == 1);
  CHECK(has(status.text, "127.0.0.1:1"));

  auto doctor = shell(environment_of_nobody() + FLYCLUSTER + " --json --timeout 0.3 doctor");
  CHECK(doctor.code == 1);
  auto report = json::parse(doctor.text);
  CHECK(count(report, "ports", "problem") == 1);
  CHECK(count(report, "members", "problem") == 1);
  CHECK(count(report, "database", "ok") == 1); // none is given

  auto local = shell(std::string{"TMPDIR=/nowhere "} + FLYCLUSTER + " local status");
  CHECK(local.code == 1);
  CHECK(has(local.text, "flycluster: filesystem error: temp_directory_path"));
}

TEST_CASE("a mistake in the command ends with exit code 2 and shows how it is written") {
  for (const char* words :
       {"", "sideways", "call", "explain", "--timeout 0 status", "--timeout soon status",
        "--timeout 100000 status", "--port banana status", "--port 70000 status", "--what status",
        "--in", "--on", "--from", "--peer"}) {
    CAPTURE(words);
    auto wrong = flycluster(words);
    CHECK(wrong.code == 2);
    CHECK(has(wrong.text, "flycluster"));
  }
  for (const auto& [given, cause] : std::initializer_list<std::pair<const char*, const char*>>{
           {"sideways", "'sideways' is not one of status"},
           {"call", "call needs the NAME"},
           {"explain", "explain needs the NAME"},
           {"primary mave lax", "before: move REGION"},
           {"--timeout 0 status", "--timeout must be"},
           {"--timeout nan status", "--timeout must be"},
           {"--hold 0 primary move lax", "--hold must be"},
           {"--hold nan primary move lax", "--hold must be"},
           {"--port -1 status", "('-1') for option '--port'"},
           {"--kill-timeout 5x status", "('5x') for option '--kill-timeout'"},
           {"status syd", "status takes no 'syd'"},
           {"status --key a", "status takes no --key"},
           {"explain shop.place --key a", "explain takes no --key"},
           {"call shop.place --from syd", "call takes no --from"},
           {"primary --command true", "primary takes no --command"},
           {"call shop.place --in syd --on a", "--in and --on"},
           {"call shop.place --key ''", "--key must not be empty"},
           {"call shop.place --in ''", "--in must not be empty"},
           {"check /dev/null", "no event in these files"}}) {
    const char* words = given; // a binding cannot be captured
    CAPTURE(words);
    auto wrong = flycluster(words);
    CHECK(wrong.code == 2);
    CHECK(has(wrong.text, cause));
    CHECK_FALSE(has(wrong.text, "Exit codes")); // one line, not the whole help
  }
  for (const char* nowhere : {" >/dev/full", " >&-"})
    CHECK(flycluster(std::string{"--help"} + nowhere).code == 1); // a script has no output
  auto help = flycluster("--help");
  CHECK(help.code == 0);
  for (const char* word :
       {"status", "call NAME", "explain NAME", "replication", "doctor", "local", "--json",
        "--timeout", "--in", "--on", "--from", "--database-url", "Exit codes"}) {
    CAPTURE(word);
    CHECK(has(help.text, word));
  }
}

TEST_CASE("schema makes fly's tables for nodes whose role may not, and says what it did") {
  postgres servers{1};
  servers.primary().sql("CREATE ROLE plain LOGIN");
  auto schema = [&](const std::string& words, const postgres_server& server) {
    return shell("env -i PATH=$PATH DATABASE_URL=" + server.url() + " " + FLYCLUSTER + " " + words);
  };
  auto made = schema("schema --grant plain", servers.primary());
  CHECK(made.code == 0);
  CHECK(has(made.text, "are made, version"));
  auto again = json::parse(schema("--json schema", servers.primary()).text);
  CHECK(again["before"] == again["version"]);
  CHECK(servers.primary().sql("SELECT has_table_privilege('plain', 'fly.ledger', 'INSERT')") ==
        "t");
  servers.wait_caught_up();
  auto replica = schema("--json schema", servers.replica(0));
  CHECK(replica.code == 1);
  CHECK(json::parse(replica.text)["code"] == "not_primary");
  CHECK(schema("schema --grant nobody", servers.primary()).code == 1);
  CHECK(has(schema("doctor", servers.primary()).text, "and this role may use them"));
  servers.primary().sql("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA fly FROM app, plain; ALTER FUNCTION "
                        "fly.hold_epoch OWNER TO postgres");
  CHECK(has(schema("doctor", servers.primary()).text, "may not use all of them"));
  CHECK(has(shell(std::string{"env -i PATH=$PATH "} + FLYCLUSTER + " schema --print").text,
            "CREATE TABLE fly.ledger"));
  CHECK(shell(std::string{"env -i PATH=$PATH "} + FLYCLUSTER + " schema").code == 1);
}

namespace {

/// Three regions, a thread that writes in ams all the time, and one that writes through a node of
/// syd that joins late.
struct busy_cluster : local_cluster {
  busy_cluster() {
    writer = std::thread{[this] {
      for (int i = 0; !over; ++i) {
        auto answer = write("ams", "entry " + std::to_string(i)).text;
        ++(has(answer, "\"id\":") ? written : failed);
      }
    }};
    late_writer = std::thread{[this] {
      for (int i = 0; !over; ++i) {
        auto answer = write_to(host("syd") + ":8081", "late " + std::to_string(i)).text;
        if (has(answer, "\"id\":"))
          ++late_written;
        else
          std::this_thread::sleep_for(50ms); // it has not started
      }
    }};
  }
  ~busy_cluster() {
    end();
    shell("kill $(cat " + late_pid + ") && rm " + late_pid);
  }

  /// Starts that node, in a shell's words.
  std::string start_late() const {
    std::string peers;
    for (const char* region : {"syd", "lax", "ams"})
      peers += (peers.empty() ? "" : ",") + part(region, "node")["address"].get<std::string>();
    return ". " + (folder() / "syd.env").string() +
           "\nFLY_MACHINE_ID=machine-late FLY_PORT=4399 FLY_PEERS=" + peers + " " + GUESTBOOK +
           " --http " + host("syd") + ":8081 >/dev/null 2>&1 &\necho $! > " + late_pid + "\n";
  }

  void end() {
    over = true;
    for (auto* it : {&writer, &late_writer})
      if (it->joinable())
        it->join();
  }

  const std::string late_pid =
      (std::filesystem::temp_directory_path() / ("late-" + std::to_string(::getpid()))).string();
  std::atomic<bool> over = false;
  std::atomic<int> written = 0;
  std::atomic<int> failed = 0;
  std::atomic<int> late_written = 0;
  std::thread writer;
  std::thread late_writer;
};

} // namespace

TEST_CASE(
    "primary shows who is primary, and move takes it to another region without a failed write") {
  busy_cluster shop;
  auto before = json::parse(shop.flycluster("lax", "--json primary").text);
  CHECK(before["region"] == "syd");
  CHECK(before["timeline"] == 1);
  CHECK(before["group"] == json::array({"machine-syd"}));
  CHECK(before["leader"] == "machine-syd");
  CHECK(before["conflict"].empty());
  CHECK(before["history"].empty());
  CHECK(before["claims"].size() == 3);
  CHECK(has(shop.flycluster("lax", "primary").text, "primary: syd, timeline 1"));

  auto here = shop.flycluster("lax", "--json primary move syd");
  CHECK(here.code == 1);
  CHECK(json::parse(here.text)["code"] == "invalid_argument");
  CHECK(shop.flycluster("lax", "primary move hkg").code == 1);
  auto failing = shop.flycluster("lax", "--json primary move lax --command 'exit 3'");
  CHECK(failing.code == 1);
  CHECK(json::parse(failing.text)["code"] == "function_failed");
  auto goes_on = shop.written.load();
  CHECK(eventually([&] { return shop.written > goes_on; })); // where they were
  CHECK(shop.flycluster("lax", "primary mave lax").code == 2);

  // Promotes, and lets ams follow the new primary, as a failover manager does. Before, a node of
  // syd starts, and has the time to write.
  auto database = [&](const char* region, const char* what) {
    auto address = shop.part(region, what)["address"].get<std::string>();
    auto at = address.find(':');
    return "postgresql://postgres@" + address.substr(0, at) + address.substr(at) + "/app";
  };
  auto lax = shop.part("lax", "replica")["address"].get<std::string>();
  auto at = lax.find(':');
  auto command = shop.start_late() + "sleep 2\npsql -q " + database("lax", "replica") +
                 " -c 'SELECT pg_promote()' && psql -q " + database("ams", "replica") +
                 " -c \"ALTER SYSTEM SET primary_conninfo = 'host=" + lax.substr(0, at) +
                 " port=" + lax.substr(at + 1) + " user=postgres'\" -c 'SELECT pg_reload_conf()'";
  auto file = std::filesystem::temp_directory_path() / ("move-" + std::to_string(::getpid()));
  std::ofstream{file} << command;
  auto done = shop.flycluster("lax", "--json primary move lax --command 'sh " + file.string() +
                                         " >/dev/null'");
  std::filesystem::remove(file);
  REQUIRE_MESSAGE(done.code == 0, done.text);
  auto moved = json::parse(done.text);
  CHECK(moved["from"] == "syd");
  CHECK(moved["to"] == "lax");
  CHECK(moved["timeline"] == 2);
  CHECK(moved["held_ms"].get<int>() > 2000);
  CHECK(moved["may_be_lost"] == "");

  auto then = shop.written.load();
  CHECK(eventually([&] { return shop.written > then + 3 && shop.late_written > 3; }, 30s));
  shop.end();
  CHECK(shop.failed == 0);
  auto count = [&](const std::string& texts) {
    return std::stoi(shell("psql -X -A -t " + database("lax", "replica") +
                           " -c \"SELECT count(*) FROM entries WHERE text LIKE '" + texts + "'\"")
                         .text);
  };
  CHECK(count("entry %") == shop.written);
  CHECK(count("late %") >= shop.late_written);
  auto after = json::parse(shop.flycluster("ams", "--json primary").text);
  CHECK(after["region"] == "lax");
  CHECK(after["timeline"] == 2);
  CHECK(after["zombies"] == json::array({"machine-late", "machine-syd"}));
  CHECK(after["history"].size() == 1);
  CHECK_FALSE(after["history"][0]["left_at"].get<std::string>().empty());
}

namespace {

/// Three regions whose primary is moved to lax by a script of the test.
struct movable_cluster : local_cluster {
  std::string psql(const char* region, const char* what, const std::string& statement) const {
    return "psql -X -A -t postgresql://postgres@" +
           part(region, what)["address"].get<std::string>() + "/app -c \"" + statement + "\" ";
  }
  std::string promote() const { return psql("lax", "replica", "SELECT pg_promote()") + ">&2\n"; }

  shell_answer move(const std::string& script) const {
    auto file = folder() / "move.sh";
    std::ofstream{file} << script;
    return flycluster("lax",
                      "--json primary move lax --command 'sh " + file.string() + "' 2>/dev/null");
  }
};

} // namespace

TEST_CASE_FIXTURE(movable_cluster,
                  "a move says what may be lost where its hold was broken in the middle") {
  auto end_holds = psql("syd", "primary",
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                        "application_name LIKE '% move'") +
                   ">&2\n";

  auto unfinished = json::parse(move(end_holds + "exit 3\n").text);
  CHECK(unfinished["code"] == "function_failed");
  CHECK(has(write("ams", "goes on").text, "\"id\":"));
  auto done = move(end_holds + "sleep 3\n" + promote());

  CHECK(done.code == 0);
  auto moved = json::parse(done.text);
  CHECK(moved["timeline"] == 2);
  CHECK(has(moved["may_be_lost"].get<std::string>(), "nobody held the commits"));
}

TEST_CASE_FIXTURE(movable_cluster, "a command that fails after the promotion lets nothing go") {
  auto failed = move(promote() + "exit 3\n");

  CHECK(failed.code == 1);
  CHECK(json::parse(failed.text)["code"] == "function_failed");
  CHECK(json::parse(flycluster("lax", "--json primary").text)["region"] == "lax");
  CHECK(shell(psql("syd", "primary",
                   "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype "
                   "= 'advisory' AND granted AND application_name LIKE '% move'"))
            .text == "1\n");
  CHECK(has(write("lax", "after").text, "\"visible\":true"));
}
