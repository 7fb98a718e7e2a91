// Proves flycluster explain on real processes: a call is made by a member of the region that is
// asked for, its parts add up, those that it does not have are said to be absent, and an error says
// where the call stopped.
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/apps/local_cluster.hpp"
#include "tests/apps/shell.hpp"

using namespace fly::test;
using nlohmann::json;

namespace {

const std::vector<std::string> parts{"find_member_us", "queue_us",       "wire_us", "function_us",
                                     "commit_us",      "replication_us", "wake_us"};

constexpr const char* sign = R"( guestbook.sign '"me"' '"hi"' '"lax"')";

json explained(const local_cluster& shop, const std::string& words, int code = 0) {
  auto answer = shop.flycluster("lax", "--json explain " + words);
  CHECK_MESSAGE(answer.code == code, answer.text);
  auto result = json::parse(answer.text, nullptr, false);
  REQUIRE_MESSAGE(result.is_object(), answer.text);
  return result;
}

/// Returns the sum of the parts that are there.
std::int64_t sum(const json& report) {
  std::int64_t result = 0;
  for (const auto& each : parts)
    result += report[each].is_null() ? 0 : report[each].get<std::int64_t>();
  return result;
}

/// Returns the line of the text that begins with `title`.
std::string line_of(const std::string& text, const std::string& title) {
  auto begin = text.find("\n  " + title);
  REQUIRE_MESSAGE(begin != std::string::npos, text);
  return text.substr(begin + 1, text.find('\n', begin + 1) - begin - 1);
}

} // namespace

TEST_CASE("explain makes one real write from a region and tells where its time went") {
  local_cluster shop;

  auto report = explained(shop, sign);
  CHECK(report["from"] == "machine-lax");
  CHECK(report["from_region"] == "lax");
  CHECK(report["served_by"] == "machine-syd");
  CHECK(report["served_region"] == "syd");
  for (const auto& each : parts)
    CHECK_MESSAGE(report[each].is_number_integer(), each);
  CHECK(report["function_us"] > 0);
  CHECK(report["commit_us"] > 0);
  CHECK(report["replication_us"] > 0);
  CHECK(report["total_us"] == sum(report));
  CHECK(report["visible"] == true);
  CHECK(report["position"].is_string());
  CHECK(report["result"][1] == "me");
  auto written = report["result"][0].get<std::int64_t>();
  auto text = shop.flycluster("lax", std::string{"explain"} + sign);
  CHECK(text.code == 0);
  CHECK(has(text.text, "[" + std::to_string(written + 1) + ",\"me\""));
  CHECK(has(text.text, "from machine-lax in lax, served by machine-syd in syd"));
  CHECK(has(line_of(text.text, "replication"), "until the database in lax had it"));
  CHECK(has(text.text, "visible   in lax: yes"));

  auto other = explained(shop, std::string{"--from ams"} + sign);
  CHECK(other["from"] == "machine-ams");
  auto own = explained(shop, std::string{"--from machine-syd"} + sign);
  CHECK(own["from_region"] == "syd");
  CHECK(own["replication_us"].is_null());
  CHECK(own["wake_us"].is_null());
  CHECK(own["visible"] == true);
  CHECK(own["total_us"] == sum(own));
}

TEST_CASE("parts that a function does not have are absent, not 0") {
  local_cluster shop;

  auto report = explained(shop, R"(--in ams guestbook.shout '"hello"')");
  CHECK(report["served_by"] == "machine-ams");
  CHECK(report["result"] == "hello!");
  for (const char* each : {"commit_us", "replication_us", "wake_us", "position", "visible"})
    CHECK_MESSAGE(report[each].is_null(), each);
  CHECK(report["total_us"] == sum(report));
  auto text = shop.flycluster("lax", R"(explain guestbook.shout '"hello"')").text;
  CHECK(has(line_of(text, "commit"), "-  no write: nothing to commit"));
  CHECK(has(line_of(text, "wake"), "-  no write"));
  CHECK_FALSE(has(text, "visible"));
}

TEST_CASE("an error of an explained call says where it stopped, and ends as call ends") {
  local_cluster shop;

  auto nowhere = explained(shop, "--timeout 0.5 --in hkg guestbook.shout '\"x\"'", 1);
  CHECK(nowhere["code"] == "no_node_in_region");
  CHECK(nowhere["stopped_in"] == "find_member");
  CHECK(nowhere["served_by"].is_null());
  CHECK(nowhere["wire_us"].is_null());
  CHECK(nowhere["find_member_us"] >= 490'000);

  auto late = explained(shop, "--timeout 0.5 fly.execute '\"SELECT pg_sleep(2)\"' '[]'", 1);
  // The database's own limit is the same moment: its answer may just come in time.
  bool is_told = late["code"] == "sql_failed";
  CHECK(late["code"] == (is_told ? "sql_failed" : "timeout"));
  CHECK(late["stopped_in"] == (is_told ? "function" : "round_trip"));
  CHECK(late["total_us"] >= 490'000);

  auto refused = explained(shop, "fly.execute '\"SELECT 1/0\"' '[]'", 1);
  CHECK(refused["code"] == "sql_failed");
  CHECK(refused["stopped_in"] == "function");
  CHECK(refused["function_us"] > 0);
  CHECK(refused["commit_us"].is_null());
  auto text = shop.flycluster("lax", "explain fly.execute '\"SELECT 1/0\"' '[]'");
  CHECK(text.code == 1);
  CHECK(has(text.text, "division by zero"));
  CHECK(has(line_of(text.text, "commit"), "-  not reached"));
  CHECK(has(text.text, "stopped   in function"));

  CHECK(explained(shop, "guestbook.no", 1)["code"] == "unknown_function");
  CHECK(explained(shop, "guestbook.shout 3", 1)["code"] == "invalid_argument");
  CHECK(explained(shop, "guestbook.shout hello", 1)["code"] == "invalid_argument");
  auto nobody = explained(shop, "--from hkg guestbook.shout '\"x\"'", 1);
  CHECK(nobody["code"] == "no_such_member");
  CHECK(has(nobody["error"], "machine-ams in ams"));
}
