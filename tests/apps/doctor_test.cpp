// Proves what flycluster doctor says of the members' databases.
#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "apps/flycluster/doctor.hpp"

using fly::apps::finding;
using fly::apps::judge_databases;
using fly::rpc::member_report;

namespace {

member_report with(const std::string& id, const std::string& role, std::uint32_t timeline) {
  member_report result;
  result.id = id;
  result.role = role;
  result.system = 9;
  result.timeline = timeline;
  return result;
}

std::vector<std::string> texts(const std::vector<member_report>& members,
                               enum finding::state state) {
  std::vector<std::string> result;
  for (const auto& each : judge_databases(members))
    if (each.state == state)
      result.push_back(each.text);
  return result;
}

using all = std::vector<std::string>;

} // namespace

TEST_CASE("a primary and replicas of its timeline are well") {
  std::vector members{with("syd", "primary", 2), with("lax", "replica", 2)};

  CHECK(texts(members, finding::state::ok) == all{"writes go to syd"});
  CHECK(judge_databases(members).size() == 1);
}

TEST_CASE("an old primary that is still writable gets no writes, and is a problem") {
  std::vector members{with("syd", "primary", 1), with("lax", "primary", 2)};

  CHECK(texts(members, finding::state::ok) == all{"writes go to lax"});
  CHECK(texts(members, finding::state::problem) ==
        all{"syd: its database is still writable on timeline 1, which the primary has left"});
}

TEST_CASE("a replica that was left behind by a promotion is a warning, though it has no lag") {
  std::vector members{with("lax", "primary", 2), with("ams", "replica", 1),
                      with("hkg", "replica", 0)};

  CHECK(texts(members, finding::state::warning) ==
        all{"ams: its replica is on timeline 1, which the primary has left"});
}

TEST_CASE("without a writable database nobody knows who was left") {
  std::vector members{with("lax", "unreachable", 2), with("ams", "replica", 1)};

  CHECK(texts(members, finding::state::warning).empty());
  CHECK(texts(members, finding::state::problem).size() == 2);
}
