// Proves what both ends of a remote actor do with frames, without a network: who is told what, and
// that a full link, a full mailbox and a stranger's frames end in errors and in nothing else.
#include <chrono>
#include <string>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>

#include "fake_link.hpp"
#include "fly/actors/error.hpp"
#include "fly/rpc/actor_exports.hpp"
#include "fly/rpc/actor_imports.hpp"
#include "fly/rpc/parcel.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;
using cluster::bytes_of;

namespace {

struct config : caf::actor_system_config {
  config() { set("scheduler.policy", caf::atom("testing")); }
};

std::vector<char> payload_of(const rpc::letter_message& letter, const rpc::bytes& content) {
  auto result = rpc::head_of(letter);
  result.insert(result.end(), content.begin(), content.end());
  return result;
}

caf::behavior echo(caf::event_based_actor*) {
  return {[](const std::string& text) { return text; },
          [](int) -> caf::result<int> { return make_error(errc::not_found, "no such number"); }};
}

/// An actor system whose actors run when `run()` says so.
struct fixture {
  config settings;
  caf::actor_system system{settings};
  rpc::system_source of_system = [this]() -> caf::actor_system& { return system; };
  std::vector<std::string> log;
  cluster::log_sink sink = [this](cluster::log_level, std::string_view line) {
    log.emplace_back(line);
  };
  std::shared_ptr<rpc::actor_exports> exports =
      std::make_shared<rpc::actor_exports>(of_system, sink);
  std::shared_ptr<rpc::actor_imports> imports =
      std::make_shared<rpc::actor_imports>(of_system, sink);
  caf::actor cart = system.spawn(echo);

  ~fixture() {
    exports->close();
    imports->close();
    caf::anon_send_exit(cart, caf::exit_reason::kill);
    cart = nullptr;
    run();
  }

  void run() { dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler()).run(); }

  rpc::bytes packed(const std::string& text) { return *rpc::pack(system, caf::make_message(text)); }

  void attach(fake_link& from, std::uint64_t number) {
    REQUIRE_FALSE(
        exports->on_attach(from.link, bytes_of(rpc::head_of(rpc::attach_message{number}))));
  }

  void letter(fake_link& from, const rpc::letter_message& head, const rpc::bytes& content) {
    REQUIRE_FALSE(exports->on_letter(from.link, bytes_of(payload_of(head, content))));
  }
};

rpc::ended_message ended_from(fake_link& link) {
  auto frame = link.next();
  REQUIRE(frame);
  REQUIRE(frame->first == rpc::ended_frame);
  return *rpc::parse_ended(bytes_of(frame->second));
}

/// Borrows nothing: of a reply only what is not content.
rpc::reply_message reply_from(fake_link& link) {
  auto frame = link.next();
  REQUIRE(frame);
  REQUIRE(frame->first == rpc::reply_frame);
  auto result = *rpc::parse_reply(bytes_of(frame->second));
  result.content = {};
  return result;
}

} // namespace

TEST_CASE_FIXTURE(fixture, "a name is published once, and is free again after the actor's end") {
  CHECK_FALSE(exports->publish("cart", cart, {}));
  CHECK(exports->publish("cart", cart, {}) == errc::already_served);
  CHECK(exports->publish("two words", cart, {}) == errc::invalid_argument);
  CHECK(exports->publish("nobody", {}, {}) == errc::invalid_argument);

  caf::anon_send_exit(cart, caf::exit_reason::user_shutdown);
  run();

  CHECK(exports->publish("cart", cart, {}) == errc::invalid_argument); // it has ended
  cart = system.spawn(echo);
  CHECK_FALSE(exports->publish("cart", cart, {}));
  exports->unpublish("cart");
  CHECK_FALSE(exports->publish("cart", cart, {}));
  exports->close();
  CHECK(exports->publish("other", cart, {}) == errc::shutting_down);
}

TEST_CASE_FIXTURE(fixture,
                  "requests are answered with values and errors, and unknown types by name") {
  fake_link lax{"lax"};
  REQUIRE_FALSE(exports->publish("cart", cart, {}));
  attach(lax, 1);

  letter(lax, {1, 7, false, {}}, packed("hi"));
  run();
  auto reply = lax.next();
  REQUIRE(reply);
  auto value = rpc::parse_reply(bytes_of(reply->second));
  REQUIRE(value);
  CHECK(value->request == 7);
  CHECK(rpc::unpack(system, value->content)->get_as<std::string>(0) == "hi");

  letter(lax, {1, 8, true, {}}, *rpc::pack(system, caf::make_message(5)));
  run();
  CHECK(reply_from(lax).reason == errc::not_found);

  cluster::wire_writer strange;
  strange.number(std::uint8_t{1}).text("shop::refund");
  letter(lax, {1, 9, false, {}}, strange.take());
  auto refused = reply_from(lax);
  CHECK(refused.reason == errc::malformed_arguments);
  CHECK(text_of(refused.reason).find("\"shop::refund\"") != std::string::npos);
  CHECK_FALSE(lax.next());
}

TEST_CASE_FIXTURE(fixture, "messages that cannot be read are dropped with one line in the log") {
  fake_link lax{"lax"};
  REQUIRE_FALSE(exports->publish("cart", cart, {}));
  attach(lax, 1);
  for (int i = 0; i < 3; ++i)
    letter(lax, {1, 0, false, {}}, {'\x7f'});
  CHECK(log.size() == 1);
  CHECK_FALSE(lax.next());
}

TEST_CASE_FIXTURE(fixture, "who is not allowed, or comes too late, hears so and reaches nobody") {
  fake_link lax{"lax"}; // in ams
  REQUIRE_FALSE(exports->publish("cart", cart, {{.region = "syd"}}));

  attach(lax, 1);
  CHECK(ended_from(lax).reason == errc::not_allowed);
  letter(lax, {1, 7, false, {}}, packed("hi"));
  CHECK(reply_from(lax).reason == errc::unknown_function);
  attach(lax, 2);
  CHECK(ended_from(lax).reason == errc::unknown_function);
  run();
  CHECK_FALSE(lax.next());
}

TEST_CASE_FIXTURE(fixture,
                  "a mailbox that a member has filled refuses requests and ends at a message") {
  fake_link lax{"lax"};
  fake_link ams{"ams"};
  REQUIRE_FALSE(exports->publish("cart", cart, {}));
  attach(lax, 1);
  attach(ams, 1);
  auto content = packed("x");
  for (std::size_t i = 0; i < rpc::mailbox_share::messages_max; ++i)
    letter(lax, {1, 0, false, {}}, content);

  letter(lax, {1, 7, false, {}}, content);
  CHECK(reply_from(lax).reason == errc::overloaded);
  letter(lax, {1, 0, false, {}}, content);
  CHECK(ended_from(lax).reason == errc::overloaded);
  letter(ams, {1, 7, false, {}}, content); // another member has its own share
  run();
  CHECK_FALSE(reply_from(ams).failed);
  attach(lax, 1); // the actor has caught up
  letter(lax, {1, 8, false, {}}, content);
  run();
  CHECK_FALSE(reply_from(lax).failed);
}

TEST_CASE_FIXTURE(fixture, "large messages fill a mailbox by their bytes") {
  fake_link lax{"lax"};
  REQUIRE_FALSE(exports->publish("cart", cart, {}));
  attach(lax, 1);
  auto content = packed(std::string(4 * 1024 * 1024, 'x'));
  for (int i = 0; i < 4; ++i)
    letter(lax, {1, 0, false, {}}, content);
  letter(lax, {1, 7, false, {}}, content);
  CHECK(reply_from(lax).reason == errc::overloaded);
}

TEST_CASE_FIXTURE(fixture, "the end of an actor, of its name and of the endpoint are told") {
  fake_link lax{"lax"};
  REQUIRE_FALSE(exports->publish("cart", cart, {}));
  attach(lax, 1);
  exports->unpublish("cart");
  CHECK(ended_from(lax).reason == errc::shutting_down);

  REQUIRE_FALSE(exports->publish("cart", cart, {}));
  attach(lax, 2);
  caf::anon_send_exit(cart, caf::exit_reason::user_shutdown);
  run();
  auto ended = ended_from(lax);
  CHECK(ended.publication == 2);
  CHECK(ended.reason == caf::exit_reason::user_shutdown);

  cart = system.spawn(echo);
  REQUIRE_FALSE(exports->publish("cart", cart, {}));
  attach(lax, 3);
  exports->close();
  CHECK(ended_from(lax).reason == errc::shutting_down);
}

TEST_CASE_FIXTURE(fixture, "one handle stands for one actor, and a closed link gives none") {
  fake_link syd{"syd"};
  auto one = imports->adopt(syd.link, 1, "cart");
  REQUIRE(one);
  CHECK(*imports->adopt(syd.link, 1, "cart") == *one);
  CHECK(*imports->adopt(syd.link, 2, "cart") != *one);
  auto frame = syd.next();
  REQUIRE(frame);
  CHECK(frame->first == rpc::attach_frame);

  syd.link->close();
  CHECK(imports->adopt(syd.link, 3, "cart").error() == errc::no_such_member);
}

TEST_CASE_FIXTURE(fixture, "a full link refuses requests, and ends the handle at a message") {
  fake_link syd{"syd", {1024 * 1024, 1000}};
  auto cart = imports->adopt(syd.link, 1, "cart");
  REQUIRE(cart);
  caf::scoped_actor self{system};
  self->monitor(*cart);
  self->send(*cart, std::string(1000, 'x')); // fills the link

  auto asked = [&] {
    errc code{};
    self->request(*cart, caf::infinite, std::string{"hi"})
        .receive([](const std::string&) {},
                 [&](const caf::error& reason) { code = code_of(reason); });
    return code;
  };
  CHECK(asked() == errc::overloaded);
  self->send(*cart, std::string{"lost"});
  self->receive([&](const caf::down_msg& down) {
    CHECK(down.source == cart->address());
    CHECK(down.reason == errc::overloaded);
  });
  CHECK(asked() == errc::no_such_member); // nothing ran: it has ended
}

TEST_CASE_FIXTURE(fixture, "open requests end with the link, and so do handles") {
  fake_link syd{"syd"};
  auto cart = imports->adopt(syd.link, 1, "cart");
  REQUIRE(cart);
  caf::scoped_actor self{system};
  self->monitor(*cart);
  auto asked = self->request(*cart, caf::infinite, std::string{"hi"});

  imports->on_link_down(syd.link, make_error(errc::member_lost, "silent"));

  asked.receive([](const std::string&) { FAIL("nobody has answered"); },
                [&](const caf::error& reason) {
                  CHECK(reason == errc::member_lost);
                  CHECK(text_of(reason).find("cart at syd") != std::string::npos);
                });
  self->receive([](const caf::down_msg& down) { CHECK(down.reason == errc::member_lost); });
}

TEST_CASE_FIXTURE(fixture, "exit messages and strange replies change nothing") {
  fake_link syd{"syd"};
  auto cart = imports->adopt(syd.link, 1, "cart");
  REQUIRE(cart);
  syd.next();
  caf::anon_send_exit(*cart, caf::exit_reason::kill);
  CHECK_FALSE(syd.next());

  auto strange = rpc::head_of(rpc::reply_message{1, 99});
  CHECK_FALSE(imports->on_reply(syd.link, bytes_of(strange)));
  strange = rpc::head_of(rpc::reply_message{7, 1});
  CHECK_FALSE(imports->on_reply(syd.link, bytes_of(strange)));
  CHECK(imports->on_reply(syd.link, {}) == errc::malformed_frame);
  caf::anon_send(*cart, std::string{"hi"});
  CHECK(syd.next()); // it lives
}
