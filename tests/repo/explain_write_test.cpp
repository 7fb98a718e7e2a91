// Proves that a write which is explained tells where its time went, from the search for a primary
// to the caller that runs again, and that it is as real as any other.
#include "fly/repo/explain_write.hpp"

#include <chrono>
#include <optional>

#include <doctest/doctest.h>

#include "fly/repo/transaction_runner.hpp"
#include "fly/rpc/verbs.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using std::chrono::microseconds;

namespace {

std::optional<microseconds> part(const rpc::explanation& from, std::string_view name) {
  for (const auto& [each, took] : from.parts)
    if (each == name)
      return took;
  return std::nullopt;
}

microseconds sum(const rpc::explanation& from) {
  microseconds result{0};
  for (const auto& [name, took] : from.parts)
    result += took;
  return result;
}

template <class R, class... Args>
rpc::explain_request request_of(const repo::write<R(Args...)>& f,
                                const std::type_identity_t<Args>&... args) {
  return {.kind = rpc::target::kind::primary,
          .whom = {},
          .name = std::string{f.name},
          .signature = repo::write_signature<R, Args...>().text,
          .arguments = *rpc::encode(std::string{}, args...),
          .timeout = 5s};
}

/// Lets `from` make the write, as a tool does.
rpc::explanation explain(const far_shop& from, const far_shop& tool, rpc::explain_request asked) {
  auto told = rpc_member(tool.rpc, from.node.self().id, repo::explain_write, std::move(asked));
  REQUIRE_MESSAGE(told, fly::to_string(told.error()));
  return *told;
}

} // namespace

TEST_CASE_FIXTURE(far_shops, "a write from far away has every part, and they add up to the total") {
  auto told = explain(lax, ams, request_of(shop::place, "pen", 2));

  CHECK(told.code == 0);
  CHECK(told.member == syd.node.self().id);
  std::vector<std::string> names;
  for (const auto& [name, took] : told.parts)
    names.push_back(name);
  CHECK(names == std::vector<std::string>{"find_member", "queue", "wire", "function", "commit",
                                          "replication", "wake"});
  CHECK(part(told, rpc::function_part) > 0us);
  CHECK(part(told, repo::commit_part) > 0us);
  CHECK(part(told, repo::replication_part) > 0us);
  CHECK(sum(told) == told.total);
  CHECK(told.visible);
  CHECK(repo::parse_position(told.position));
  CHECK(rpc::decode_result<shop::order>(told.result)->item == "pen");
  CHECK(lax.count("pen") == 1);
}

TEST_CASE_FIXTURE(far_shops, "a write that runs on the asking node waits for nothing") {
  auto told = explain(syd, lax, request_of(shop::place, "pen", 2));

  CHECK(told.code == 0);
  CHECK(told.visible);
  CHECK(part(told, repo::commit_part));
  CHECK_FALSE(part(told, repo::replication_part));
  CHECK_FALSE(part(told, repo::wake_part));
  CHECK(sum(told) == told.total);
}

TEST_CASE_FIXTURE(far_shops, "time spent on a statement is the function's, and on a lock at COMMIT "
                             "the commit's") {
  rpc::explain_request slow =
      request_of(repo::execute_statement,
                 "INSERT INTO orders (item, count) SELECT 'ink', 1 FROM pg_sleep(0.5)",
                 std::vector<repo::parameter>{});
  auto told = explain(lax, ams, slow);
  CHECK(told.code == 0);
  CHECK(part(told, rpc::function_part) >= 500ms);
  CHECK(part(told, repo::commit_part) < 500ms);

  servers.primary().sql(
      "CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END';"
      "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW EXECUTE FUNCTION rest()");
  told = explain(lax, ams, request_of(shop::place, "pen", 1));
  CHECK(told.code == 0);
  CHECK(part(told, repo::commit_part) >= 50ms);
  CHECK(sum(told) == told.total);
}

TEST_CASE_FIXTURE(far_shops,
                  "a write that is refused stopped in the function, and one whose commit "
                  "is refused in the commit") {
  auto told = explain(lax, ams, request_of(shop::place, "pen", -1));
  CHECK(rpc::error_of(told) == errc::sql_failed);
  CHECK(details_of(rpc::error_of(told)).at("constraint") == "positive");
  CHECK(told.stopped_in == rpc::function_part);
  CHECK_FALSE(part(told, repo::commit_part));
  CHECK(told.position.empty());

  servers.primary().sql("ALTER TABLE names DROP CONSTRAINT names_name_key, ADD UNIQUE (name) "
                        "DEFERRABLE INITIALLY DEFERRED");
  auto twice = request_of(repo::execute_statement, "INSERT INTO names (name) VALUES ('a'), ('a')",
                          std::vector<repo::parameter>{});
  told = explain(lax, ams, twice);
  CHECK(rpc::error_of(told) == errc::sql_failed);
  CHECK(told.stopped_in == repo::commit_part);
  CHECK(sum(told) == told.total);
}

TEST_CASE_FIXTURE(far_shops,
                  "a write that the local database does not see in time is committed, and "
                  "says that it stopped in the replication") {
  servers.replica(0).sql("SELECT pg_wal_replay_pause()");
  auto asked = request_of(shop::place, "pen", 2);
  asked.timeout = 1500ms;

  auto told = explain(lax, ams, asked);

  CHECK(told.code == 0);
  CHECK_FALSE(told.visible);
  CHECK(told.late.find("not_visible") != std::string::npos);
  CHECK(told.stopped_in == repo::replication_part);
  CHECK(part(told, repo::replication_part) > 0ms);
  CHECK(told.total >= 1400ms);
  CHECK(sum(told) == told.total);
  CHECK(syd.count("pen") == 1);
  servers.replica(0).sql("SELECT pg_wal_replay_resume()");
}
