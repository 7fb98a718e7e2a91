// Proves what becomes of a call frame: which calls run, which are dropped, and how each is
// answered.
#include "fly/rpc/server.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include <caf/sec.hpp>
#include <doctest/doctest.h>

#include "fake_link.hpp"
#include "fly/actors/error.hpp"
#include "fly/rpc/message.hpp"
#include "tests/support/eventually.hpp"

using namespace fly;
using namespace fly::rpc;
using namespace fly::test;
using namespace std::chrono_literals;
using cluster::bytes_of;

namespace {

struct oddity {};

struct speechless : std::exception {
  const char* what() const noexcept override { return nullptr; }
};

/// A server with one worker and the functions of the tests.
struct bench {
  std::atomic<bool> primary{true};
  std::atomic<int> runs{0};
  std::promise<void> release;
  std::shared_future<void> released{release.get_future()};
  actors::worker_pool workers{{.threads = 1, .queue_max = 2, .name = "test"}};
  rpc::server server{workers, [this] { return primary.load(); }};
  fake_link caller{"caller", {.frame_bytes_max = 4096, .unsent_bytes_max = 8192}};

  bench() {
    serve("echo", {}, [](auto& from) { return bytes{from.begin(), from.end()}; });
    serve("direct", {.on_io_thread = true}, [](auto& from) {
      return bytes{from.begin(), from.end()};
    });
    serve("large", {}, [](auto&) { return bytes(5000); });
    serve("block", {}, [gate = released](auto&) { return gate.wait(), bytes{}; });
    serve("throw", {}, [](auto&) -> bytes { throw std::out_of_range("too far"); });
    serve("odd", {}, [](auto&) -> bytes { throw oddity{}; });
    serve("speechless", {}, [](auto&) -> bytes { throw speechless{}; });
    serve("forward", {}, [](auto&) -> caf::expected<bytes> {
      return make_error(errc::unknown_function, "no g", {{not_served_detail, "1"}, {"a", "b"}});
    });
    serve("foreign", {}, [](auto&) -> caf::expected<bytes> { return caf::sec::invalid_argument; });
  }

  ~bench() {
    if (!done)
      release.set_value();
    workers.stop();
  }

  template <class F>
  void serve(std::string name, serve_options options, F f) {
    auto handler = [this, f](const call_context&,
                             std::span<const char> from) -> caf::expected<bytes> {
      ++runs;
      return f(from);
    };
    REQUIRE_FALSE(server.add(name, {signature{"()->void"}, options, handler}));
  }

  /// Serves "later", whose answers are in the tests' hands: `replies`. One that is ended answers.
  void serve_later() {
    auto starter = [this](const call_context&, std::span<const char>, raw_reply reply) {
      ++runs;
      auto mine = std::make_shared<raw_reply>(std::move(reply));
      replies.push_back(mine);
      return [mine] {
        if (auto reply = std::exchange(*mine, nullptr))
          reply(make_error(errc::timeout, "ended"));
      };
    };
    REQUIRE_FALSE(server.add("later", {signature{"()->void"}, {}, nullptr, nullptr, starter}));
  }

  void call(std::uint64_t id, std::string_view name, std::chrono::microseconds budget = 5s,
            bool primary_only = false, std::uint64_t fingerprint = 0) {
    auto payload = head_of(call_message{id, fingerprint, budget, primary_only, name, {}});
    payload.insert(payload.end(), {'h', 'i'});
    CHECK_FALSE(server.on_call(caller.link, bytes_of(payload)));
  }

  /// Waits for the next answer: its error, or an empty one and the result.
  std::pair<caf::error, std::string> answer(std::uint64_t id) {
    std::optional<std::pair<cluster::frame_kind, std::vector<char>>> frame;
    REQUIRE(eventually([&] { return (frame = caller.next()).has_value(); }));
    CHECK(frame->first == answer_frame);
    auto parsed = parse_answer(bytes_of(frame->second));
    REQUIRE(parsed);
    CHECK(parsed->id == id);
    auto text = characters(parsed->result);
    return {parsed->reason, {text.begin(), text.end()}};
  }

  void let_go() {
    done = true;
    release.set_value();
  }

  bool done = false;
  std::vector<std::shared_ptr<raw_reply>> replies; // of "later"; null where it was ended
};

} // namespace

TEST_CASE("a call runs on a worker, or at once where the function wants that") {
  bench it;
  it.call(1, "echo");
  CHECK(it.answer(1).second == "hi");

  it.call(2, "direct");
  CHECK(it.runs == 2); // it has run on this thread
  CHECK(it.answer(2).second == "hi");
  CHECK(eventually([&] { return it.server.serving() == 0; }));
}

TEST_CASE("only a caller that asks is told where the time went") {
  bench it;
  auto parts_of = [&](std::string_view name, bool timed) {
    auto payload = head_of(call_message{1, 0, 5s, false, name, {}, timed});
    CHECK_FALSE(it.server.on_call(it.caller.link, bytes_of(payload)));
    std::optional<std::pair<cluster::frame_kind, std::vector<char>>> frame;
    REQUIRE(eventually([&] { return (frame = it.caller.next()).has_value(); }));
    return parse_answer(bytes_of(frame->second))->parts;
  };
  CHECK(parts_of("echo", false).all().empty());

  for (const char* name : {"echo", "direct", "throw", "large"}) {
    CAPTURE(name);
    auto parts = parts_of(name, true);
    CHECK(parts.all().size() == 2);
    CHECK(parts.of(queue_part));
    CHECK(parts.of(function_part));
  }
  CHECK(parts_of("nothing", true).all().empty()); // nothing was queued and nothing ran
}

TEST_CASE("what a function names of its time is not counted as the function's") {
  bench it;
  it.server.add("names", {signature{"()->void"},
                          {.on_io_thread = true},
                          [](const call_context& context, auto) -> caf::expected<bytes> {
                            CHECK(context.parts != nullptr);
                            context.parts->add("commit", 1h);
                            return bytes{};
                          }});
  auto payload = head_of(call_message{1, 0, 5s, false, "names", {}, true});

  CHECK_FALSE(it.server.on_call(it.caller.link, bytes_of(payload)));

  auto parts = parse_answer(bytes_of(it.caller.next()->second))->parts;
  CHECK(parts.of("commit") == 1h);
  CHECK(parts.of(function_part) == 0us);
}

TEST_CASE("what a member does not serve is told apart from what its functions found missing") {
  bench it;
  it.call(1, "nothing");
  CHECK(details_of(it.answer(1).first).contains(not_served_detail));
  it.call(2, "echo", 5s, false, signature{"(i32)->void"}.fingerprint);
  CHECK(details_of(it.answer(2).first).contains(not_served_detail));

  it.call(3, "forward"); // it has run: nobody must take it elsewhere
  auto forwarded = it.answer(3).first;
  CHECK(forwarded == errc::unknown_function);
  CHECK(details_of(forwarded) == error_details{{"a", "b"}});
}

TEST_CASE(
    "unknown names, other signatures and a node that is not primary are answered, nothing ran") {
  bench it;
  it.primary = false;
  it.call(1, "nothing");
  CHECK(it.answer(1).first == errc::unknown_function);
  it.call(2, "echo", 5s, false, signature{"(i32)->void"}.fingerprint);
  CHECK(it.answer(2).first == errc::signature_mismatch);
  it.call(3, "echo", 5s, true);
  CHECK(it.answer(3).first == errc::not_primary);

  CHECK(it.runs == 0);
}

TEST_CASE("an exception is answered with its type and text") {
  bench it;
  it.call(1, "throw");
  auto thrown = it.answer(1).first;
  CHECK(thrown == errc::function_failed);
  CHECK(text_of(thrown) == "throw threw std::out_of_range: too far");
  CHECK(details_of(thrown).at("exception") == "std::out_of_range");
  CHECK(details_of(thrown).at("what") == "too far");

  it.call(2, "odd");
  CHECK(details_of(it.answer(2).first).at("exception").find("oddity") != std::string::npos);
  it.call(4, "speechless");
  CHECK(it.answer(4).first == errc::function_failed);
  it.call(3, "foreign");
  auto foreign = it.answer(3).first;
  CHECK(foreign == errc::function_failed);
  CHECK(text_of(foreign).find("invalid_argument") != std::string::npos);
}

TEST_CASE("a full pool refuses at once") {
  bench it;
  it.call(1, "block");
  REQUIRE(eventually([&] { return it.runs == 1; }));
  it.call(2, "echo");
  it.call(3, "echo");
  it.call(4, "echo");

  CHECK(it.answer(4).first == errc::overloaded);
  it.let_go();
  CHECK_FALSE(it.answer(1).first);
  CHECK_FALSE(it.answer(2).first);
  CHECK_FALSE(it.answer(3).first);
}

TEST_CASE("a call whose time is up before it begins does not run") {
  bench it;
  it.call(1, "direct", 0us);

  CHECK(it.answer(1).first == errc::expired);
  CHECK(it.runs == 0);
}

TEST_CASE("a cancelled call does not run, nor do those of a caller that is gone") {
  bench it;
  it.call(1, "block");
  REQUIRE(eventually([&] { return it.runs == 1; }));
  it.call(2, "echo");
  it.call(3, "echo");

  CHECK_FALSE(it.server.on_cancel(it.caller.link, bytes_of(head_of(cancel_message{2}))));
  CHECK_FALSE(it.server.on_cancel(it.caller.link, bytes_of(head_of(cancel_message{99}))));
  it.server.on_link_down(it.caller.link);
  it.let_go();

  REQUIRE(eventually([&] { return it.server.serving() == 0; }));
  CHECK(it.runs == 1);
}

TEST_CASE("a cancelled call leaves the queue at once, with its arguments, and is counted no more") {
  bench it;
  it.call(1, "block");
  REQUIRE(eventually([&] { return it.runs == 1; }));
  auto arguments = std::make_shared<const bytes>(1000);
  auto permit = it.server.run({"echo",
                               0,
                               false,
                               {std::chrono::steady_clock::now() + 1h, it.caller.link->peer()},
                               [](auto) { FAIL_CHECK("a cancelled call was answered"); }},
                              arguments);
  it.call(2, "echo");
  CHECK(it.server.serving() == 3);

  CHECK(permit->cancel());
  permit.reset();
  it.server.on_cancel(it.caller.link, bytes_of(head_of(cancel_message{2})));

  CHECK(it.server.serving() == 1);
  CHECK(arguments.use_count() == 1);
  it.call(3, "echo"); // there is room for two again
  it.call(4, "echo");
  it.let_go();
  for (auto id : {1, 3, 4})
    CHECK_FALSE(it.answer(static_cast<std::uint64_t>(id)).first);
}

TEST_CASE("cancelled calls of a bounded function free their places") {
  bench it;
  it.serve("one", {.running_max = 1, .queue_max = 1},
           [gate = it.released](auto&) { return gate.wait(), bytes{}; });
  it.call(1, "one");
  REQUIRE(eventually([&] { return it.runs == 1; }));
  it.call(2, "one");

  it.server.on_cancel(it.caller.link, bytes_of(head_of(cancel_message{2})));
  CHECK(it.server.serving() == 1);
  it.call(3, "one");

  it.let_go();
  CHECK_FALSE(it.answer(1).first);
  CHECK_FALSE(it.answer(3).first);
}

TEST_CASE("a second attempt under the same number is cancelled by itself, and ends the first one") {
  bench it;
  std::atomic<int> cancelled{0};
  auto wait = [&](const call_context& context, std::span<const char>) -> caf::expected<bytes> {
    ++it.runs;
    eventually([&] { return context.cancelled(); });
    cancelled += context.cancelled() ? 1 : 0;
    return bytes{};
  };
  REQUIRE_FALSE(it.server.add("wait", {signature{"()->void"}, {}, wait}));
  it.call(1, "wait", 1min);
  REQUIRE(eventually([&] { return it.runs == 1; }));

  it.call(1, "wait", 1min); // the cancel of the first one was lost
  CHECK_FALSE(it.answer(1).first);
  CHECK(cancelled == 1);
  REQUIRE(eventually([&] { return it.runs == 2; }));
  it.server.on_cancel(it.caller.link, bytes_of(head_of(cancel_message{1})));

  CHECK_FALSE(it.answer(1).first);
  CHECK(cancelled == 2);
}

TEST_CASE("a call that runs already is answered though it was cancelled") {
  bench it;
  it.call(1, "block");
  REQUIRE(eventually([&] { return it.runs == 1; }));

  it.server.on_cancel(it.caller.link, bytes_of(head_of(cancel_message{1})));
  it.let_go();

  CHECK_FALSE(it.answer(1).first);
}

TEST_CASE("calls that are answered later take no worker") {
  bench it;
  it.serve_later();
  it.call(1, "block"); // the only worker
  for (std::uint64_t id = 2; id < 100; ++id)
    it.call(id, "later");
  CHECK(it.replies.size() == 98);
  CHECK(it.server.later() == 98);
  CHECK(it.server.serving() == 1);

  std::exchange(*it.replies[5], nullptr)(bytes{'o', 'k'});

  CHECK(it.answer(7).second == "ok");
  CHECK(it.server.later() == 97);
  it.call(100, "later", 0us);
  CHECK(it.answer(100).first == errc::expired);
  it.let_go();
  CHECK_FALSE(it.answer(1).first);
  it.server.end_later();
  CHECK(it.server.later() == 0);
}

TEST_CASE("a call that is answered later ends with its caller") {
  bench it;
  it.serve_later();
  it.call(1, "later");
  it.call(2, "later");
  CHECK_FALSE(it.server.on_cancel(it.caller.link, bytes_of(head_of(cancel_message{1}))));
  CHECK_FALSE(*it.replies[0]);
  CHECK(*it.replies[1]);

  it.server.on_link_down(it.caller.link);

  CHECK_FALSE(*it.replies[1]);
  CHECK(it.server.later() == 0);
}

TEST_CASE("a result above the bound of a frame says that it ran") {
  bench it;
  it.call(1, "large");

  auto reason = it.answer(1).first;

  CHECK(reason == errc::malformed_result);
  CHECK(text_of(reason).find("4096") != std::string::npos);
}

TEST_CASE("answers that a full link does not take are sent later, or dropped with their deadline") {
  bench it;
  std::vector<char> filler(4000);
  REQUIRE_FALSE(it.caller.link->send(cluster::frame_kind{99}, bytes_of(filler)));
  REQUIRE_FALSE(it.caller.link->send(cluster::frame_kind{99}, bytes_of(filler)));
  it.server.add("wide",
                {signature{"()->void"},
                 {.on_io_thread = true},
                 [](const call_context&, auto) -> caf::expected<bytes> { return bytes(500); }});
  it.call(1, "wide");
  it.call(2, "wide", 1h);
  CHECK(it.caller.next()->first == cluster::frame_kind{99});
  CHECK(it.caller.next()->first == cluster::frame_kind{99});
  CHECK_FALSE(it.caller.next());
  it.caller.link->in_flight(0);

  it.server.flush(std::chrono::steady_clock::now() + 1min);

  CHECK_FALSE(it.answer(2).first); // the first one's caller has given up
  CHECK_FALSE(it.caller.next());
}

TEST_CASE("a closed server refuses, also what is in the queue") {
  bench it;
  it.call(1, "block");
  REQUIRE(eventually([&] { return it.runs == 1; }));
  it.call(2, "echo");
  it.server.close();
  it.call(3, "echo");
  CHECK(it.answer(3).first == errc::shutting_down);
  it.let_go();

  CHECK_FALSE(it.answer(1).first);
  CHECK(it.answer(2).first == errc::shutting_down);
  CHECK(it.runs == 1);
}

TEST_CASE("malformed frames are errors and change nothing") {
  bench it;
  std::vector<char> junk{1, 2, 3};

  CHECK(it.server.on_call(it.caller.link, bytes_of(junk)) == errc::malformed_frame);
  CHECK(it.server.on_cancel(it.caller.link, bytes_of(junk)) == errc::malformed_frame);
  CHECK_FALSE(it.caller.next());
}
