// Proves what the caller of a keyed write is told when a copy of it was lost and another one was
// asked for: "nothing ran" only where that holds for every copy.
#include "fly/repo/write_call.hpp"

#include <chrono>
#include <future>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/write_reply.hpp"
#include "fly/rpc/codec.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/returned.hpp"

using namespace fly;
using namespace std::chrono_literals;

namespace {

/// What the caller of a write is told, and how often it was tried.
struct telling {
  caf::error reason;
  std::size_t attempts = 0;
};

/// Lets a write end with one error after the other, on its own node.
telling call_after(const std::vector<caf::error>& answers, const std::string& key,
                   std::chrono::milliseconds timeout, rpc::endpoint_options options = {}) {
  cluster::options settings;
  settings.port = 0;
  cluster::node node{settings};
  rpc::endpoint endpoint{node, std::move(options)};
  const auto& signature = repo::write_signature<void>();
  std::size_t next = 0;
  endpoint.serve_raw(
      "shop.pay", signature.text, {},
      [&](const rpc::call_context&, std::span<const char>) -> caf::expected<rpc::bytes> {
        return answers.at(next++);
      });
  std::promise<caf::error> told;
  repo::write_call how;
  how.rpc = &endpoint;
  how.deadline = std::chrono::steady_clock::now() + timeout;
  how.key = key;
  auto end = repo::start_write(how, "shop.pay", signature, *rpc::encode(key),
                               [&](caf::expected<repo::raw_committed> outcome) {
                                 told.set_value(outcome ? caf::error{} : outcome.error());
                               });
  auto result = told.get_future().get();
  return {result, next};
}

/// As `call_after`, where all of the errors are seen.
caf::error told_after(const std::vector<caf::error>& answers, const std::string& key) {
  auto [reason, attempts] = call_after(answers, key, 20s);
  CHECK(attempts == answers.size());
  return reason;
}

} // namespace

TEST_CASE("a copy of which nothing ran says nothing of one that was lost before") {
  for (auto last : {errc::not_leader, errc::function_failed, errc::sql_failed}) {
    auto told = told_after({make_error(errc::member_lost, "syd is gone"), make_error(last, "no")},
                           "order-1");

    CHECK(told == errc::member_lost);
    CHECK(text_of(told) == "syd is gone; asked again: no");
    CHECK(details_of(told)["key"] == "order-1");
  }
}

TEST_CASE("a lost write is tried again until its deadline while it may pass") {
  std::vector answers(10, make_error(errc::member_lost, "syd is gone"));
  for (auto passing : {errc::database_unavailable, errc::outcome_unknown, errc::overloaded})
    answers.push_back(make_error(passing, "for a moment"));
  answers.push_back(make_error(errc::sql_failed, "no"));
  auto told = told_after(answers, "order-1");
  CHECK(told == errc::member_lost);
  CHECK(text_of(told) == "syd is gone; asked again: no");

  auto begun = std::chrono::steady_clock::now();
  auto last = call_after(std::vector(100, make_error(errc::outcome_unknown, "?")), "order-1", 1s);
  CHECK(last.reason == errc::outcome_unknown);
  CHECK(last.attempts < 20);
  CHECK(std::chrono::steady_clock::now() - begun > 400ms); // less than a pause was left
}

TEST_CASE("a lost write is given up where its own node makes no call any more") {
  std::size_t seen = 0;
  rpc::caller_interceptor refuses = [&](rpc::outgoing_call&) {
    return ++seen > 1 ? make_error(errc::overloaded, "full") : caf::error{};
  };

  auto [told, attempts] = call_after({make_error(errc::member_lost, "syd is gone")}, "order-1", 20s,
                                     {.on_call = {refuses}});

  CHECK(told == errc::member_lost);
  CHECK(text_of(told) == "syd is gone; asked again: full");
  CHECK(attempts == 1);
  CHECK(seen <= 4);
}

TEST_CASE("what the ledger says of a key is certain, whatever was lost before") {
  for (auto last : {errc::key_fenced, errc::key_reused})
    CHECK(told_after({make_error(errc::outcome_unknown, "?"), make_error(last, "no")}, "order-1") ==
          last);
}

TEST_CASE("what a function was told of a call of its own is no loss of the write") {
  for (auto code : {errc::member_lost, errc::outcome_unknown}) {
    auto told = told_after({rpc::as_rolled_back(make_error(code, "of a call within"))}, "order-1");

    CHECK(told == code);
    CHECK(effect_of(told) == effect::unknown);
    CHECK(details_of(told)["key"] == "order-1");
  }
}

TEST_CASE("without a lost copy the error is that of the write") {
  CHECK(told_after({make_error(errc::not_leader, "no")}, "order-1") == errc::not_leader);
  CHECK(told_after({make_error(errc::member_lost, "gone")}, "") == errc::member_lost);
}
