// Proves what is concluded from the server's tags and warnings alone: whether a function has ended
// the transaction that it was given, by which statement, and whether anything may remain.
#include "fly/repo/transaction_fate.hpp"

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"

using fly::errc;
using fly::repo::error_of_end;
using fly::repo::leaves_something;
using fly::repo::own_end;
using fly::repo::transaction_fate;

namespace {

/// What the server says of statements: tags, "!25P01" for a warning, "?" for an error.
transaction_fate after(std::initializer_list<std::string_view> said, bool in_savepoint = false) {
  transaction_fate result;
  result.begin(in_savepoint);
  for (auto each : said) {
    if (each == "?")
      result.failed();
    else if (each.starts_with('!'))
      result.warned(each.substr(1));
    else
      result.succeeded(each);
  }
  return result;
}

/// "COMMIT committed went_on", "" for none.
std::string end_of(const transaction_fate& fate, std::optional<bool> open) {
  auto end = fate.ended(open);
  if (!end)
    return {};
  return end->by + (end->committed ? " committed" : "") + (end->went_on ? " went_on" : "") +
         (end->after_error ? " after_error" : "");
}

} // namespace

TEST_CASE("what leaves the transaction open is no end of it") {
  for (auto said : {std::initializer_list<std::string_view>{},
                    {"INSERT 0 1"},
                    {"!25001", "BEGIN"},
                    {"BEGIN"}, // a session that keeps its warnings to itself
                    {"START TRANSACTION", "INSERT 0 1"},
                    {"SAVEPOINT", "INSERT 0 1", "RELEASE"},
                    {"SAVEPOINT", "?", "ROLLBACK", "INSERT 0 1"},
                    {"!01000", "SELECT 1"},
                    {"?"}}) {
    CHECK(end_of(after(said), true).empty());
  }
}

TEST_CASE("a COMMIT is one, and what came before it is committed") {
  CHECK(end_of(after({"INSERT 0 1", "COMMIT"}), false) == "COMMIT committed");
  CHECK(end_of(after({"COMMIT"}), true) == "COMMIT AND CHAIN committed");
  CHECK(end_of(after({"COMMIT", "INSERT 0 1"}), true) == "COMMIT AND CHAIN committed");
  CHECK(end_of(after({"COMMIT", "INSERT 0 1"}), false) == "COMMIT committed went_on");
  CHECK(end_of(after({"COMMIT", "BEGIN", "INSERT 0 1"}), true) == "COMMIT committed");
  CHECK(end_of(after({"COMMIT", "?"}), false) == "COMMIT committed");
  CHECK(end_of(after({"COMMIT", "!25P01", "ROLLBACK"}), false) == "COMMIT committed");
  CHECK(end_of(after({"SAVEPOINT", "COMMIT"}), false) == "COMMIT committed");
}

TEST_CASE("a ROLLBACK is one, of which nothing remains unless something ran in no transaction") {
  CHECK(end_of(after({"INSERT 0 1", "ROLLBACK"}), false) == "ROLLBACK");
  CHECK(end_of(after({"ROLLBACK", "INSERT 0 1"}), true) == "ROLLBACK AND CHAIN");
  CHECK(end_of(after({"ROLLBACK", "INSERT 0 1"}), false) == "ROLLBACK went_on");
  CHECK(end_of(after({"ROLLBACK", "BEGIN", "INSERT 0 1"}), true) == "ROLLBACK");
  CHECK(end_of(after({"ROLLBACK", "INSERT 0 1", "BEGIN"}), true) == "ROLLBACK went_on");
  CHECK(end_of(after({"ROLLBACK", "BEGIN", "COMMIT"}), false) == "ROLLBACK committed");
  CHECK(end_of(after({"ROLLBACK", "INSERT 0 1", "!25P01", "ROLLBACK"}), false) ==
        "ROLLBACK went_on");
}

TEST_CASE("a ROLLBACK right behind an error is libpqxx's, and the error is the news") {
  CHECK(end_of(after({"INSERT 0 1", "?", "ROLLBACK"}), false) == "ROLLBACK after_error");
  CHECK(end_of(after({"SAVEPOINT", "?", "ROLLBACK", "INSERT 0 1", "?", "ROLLBACK"}), false) ==
        "ROLLBACK after_error");
  CHECK(end_of(after({"?", "INSERT 0 1", "ROLLBACK"}), false) == "ROLLBACK");
}

TEST_CASE("where there are savepoints the server is asked what a ROLLBACK was") {
  auto to_savepoint = after({"SAVEPOINT", "ROLLBACK", "INSERT 0 1"});
  CHECK(to_savepoint.doubtful());
  CHECK(end_of(to_savepoint, true).empty());
  CHECK(end_of(to_savepoint, false) == "ROLLBACK went_on");
  CHECK(end_of(after({"SAVEPOINT", "ROLLBACK"}), false) == "ROLLBACK");
  CHECK(after({"ROLLBACK"}, true).doubtful());
  CHECK_FALSE(after({"ROLLBACK"}).doubtful());
  CHECK_FALSE(after({"SAVEPOINT", "RELEASE"}).doubtful());
}

TEST_CASE("what comes later tells what a ROLLBACK was, too") {
  CHECK(end_of(after({"SAVEPOINT", "ROLLBACK", "INSERT 0 1", "BEGIN"}), true) ==
        "ROLLBACK went_on");
  CHECK(end_of(after({"SAVEPOINT", "ROLLBACK", "!25001", "BEGIN"}), true).empty());
  CHECK(end_of(after({"SAVEPOINT", "ROLLBACK", "INSERT 0 1", "!25P01", "COMMIT"}), false) ==
        "ROLLBACK went_on");
  CHECK(end_of(after({"SAVEPOINT", "ROLLBACK", "INSERT 0 1", "COMMIT"}), false) ==
        "COMMIT committed");
}

TEST_CASE("where the connection does not tell any more what was certain stays so") {
  CHECK(end_of(after({"INSERT 0 1", "?"}), std::nullopt).empty());
  CHECK(end_of(after({"SAVEPOINT", "ROLLBACK", "INSERT 0 1", "?"}), std::nullopt).empty());
  CHECK(end_of(after({"COMMIT", "?"}), std::nullopt) == "COMMIT committed");
  CHECK(end_of(after({"ROLLBACK", "INSERT 0 1"}), std::nullopt) == "ROLLBACK went_on");
  CHECK(end_of(after({"ROLLBACK", "BEGIN", "INSERT 0 1"}), std::nullopt) == "ROLLBACK");
}

TEST_CASE("PREPARE TRANSACTION is one, of which nobody knows yet") {
  CHECK(end_of(after({"PREPARE TRANSACTION"}), false) == "PREPARE TRANSACTION");
  CHECK(end_of(after({"PREPARE TRANSACTION", "INSERT 0 1"}), false) ==
        "PREPARE TRANSACTION went_on");
}

TEST_CASE("statements that only read and write rows do not touch the session, all others may") {
  CHECK_FALSE(after({"INSERT 0 1", "SELECT 3", "UPDATE 0", "DELETE 1", "MERGE 2", "FETCH 500"})
                  .touched_session());
  CHECK_FALSE(after({"SAVEPOINT", "ROLLBACK", "RELEASE", "?", "!25001"}).touched_session());
  CHECK(after({"!25001", "BEGIN"}).touched_session()); // BEGIN READ WRITE warns, and does it
  for (auto tag : {"LISTEN", "DECLARE CURSOR", "SET", "DO", "CALL", "CREATE TABLE", ""})
    CHECK(after({"SELECT 1", tag, "SELECT 1"}).touched_session());
  auto fate = after({"LISTEN"});
  fate.begin(false);
  CHECK_FALSE(fate.touched_session());
}

TEST_CASE("a new transaction begins without the past of another") {
  auto fate = after({"COMMIT", "INSERT 0 1"});
  fate.begin(false);

  CHECK(end_of(fate, true).empty());
}

TEST_CASE("the error names the statement, and says whether something is committed") {
  auto committed = error_of_end({.by = "COMMIT AND CHAIN", .committed = true});
  CHECK(committed == errc::function_failed);
  CHECK(fly::details_of(committed) ==
        fly::error_details{{"committed", "yes"}, {"ended_by", "COMMIT AND CHAIN"}});
  CHECK(fly::text_of(committed).find("by COMMIT AND CHAIN") != std::string::npos);

  auto nothing = error_of_end({.by = "ROLLBACK"});
  CHECK(nothing == errc::function_failed);
  CHECK(fly::details_of(nothing) == fly::error_details{{"ended_by", "ROLLBACK"}});

  CHECK(error_of_end({.by = "ROLLBACK", .went_on = true}) == errc::outcome_unknown);
  CHECK(error_of_end({.by = "PREPARE TRANSACTION"}) == errc::outcome_unknown);
  CHECK_FALSE(leaves_something({.by = "ROLLBACK", .after_error = true}));
  CHECK(leaves_something({.by = "PREPARE TRANSACTION"}));
}
