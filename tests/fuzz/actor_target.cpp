#include "tests/fuzz/actor_target.hpp"

#include <cstdint>
#include <map>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/message.hpp>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"
#include "fly/rpc/letter.hpp"
#include "fly/rpc/parcel.hpp"
#include "tests/fuzz/expect.hpp"

namespace fly::fuzz {

namespace {

using cluster::bytes_of;

/// A type that contains itself, and most of what can stand in a type.
struct shelf {
  std::string label;
  std::vector<shelf> shelves;
  std::map<std::string, double> prices;
  std::vector<bool> flags;
  std::u16string wide;
  long double width = 0;
};

template <class Inspector>
auto inspect(Inspector& f, shelf& x) {
  return f(caf::meta::type_name("shelf"), x.label, x.shelves, x.prices, x.flags, x.wide, x.width);
}

std::string text(const std::vector<char>& bytes) {
  return {bytes.begin(), bytes.end()};
}

struct config : caf::actor_system_config {
  config() {
    add_message_type<shelf>("shelf");
    set("scheduler.max-threads", std::size_t{1});
  }
};

/// Made once and never destroyed: an actor system that ends after main crashes in CAF 0.17.
caf::actor_system& system_of_types() {
  static auto* settings = new config;
  static auto* system = new caf::actor_system{*settings};
  return *system;
}

} // namespace

void letters(std::span<const char> input) {
  auto bytes = std::as_bytes(input);
  expect_code(rpc::parse_attach(bytes), errc::malformed_frame);
  expect_code(rpc::parse_letter(bytes), errc::malformed_frame);
  auto reply = rpc::parse_reply(bytes);
  expect_code(reply, errc::malformed_frame);
  if (reply && reply->failed) {
    auto again = rpc::parse_reply(bytes_of(rpc::head_of(*reply)));
    expect(again && again->reason == reply->reason, "a failed reply is read back");
    fly::to_string(reply->reason);
  }
  auto ended = rpc::parse_ended(bytes);
  expect_code(ended, errc::malformed_frame);
  if (ended) {
    auto again = rpc::parse_ended(bytes_of(rpc::head_of(*ended)));
    expect(again && again->reason == ended->reason, "an end is read back");
    expect(text_of(again->reason) == text_of(ended->reason), "its text is read back");
  }
}

void parcel(std::span<const char> input) {
  auto& system = system_of_types();
  auto content = rpc::unpack(system, std::as_bytes(input));
  expect_code(content, errc::malformed_arguments);
  if (!content)
    return;
  auto packed = rpc::pack(system, *content);
  expect(packed.operator bool(), "what was read can be written");
  auto again = rpc::unpack(system, bytes_of(*packed));
  expect(again.operator bool(), "what was written can be read");
  expect(*rpc::pack(system, *again) == *packed, "a message is read back");
}

std::vector<std::string> letter_seeds() {
  auto reason = make_error(errc::sql_failed, "no", {{"sqlstate", "23505"}});
  return {text(rpc::head_of(rpc::attach_message{9})),
          text(rpc::head_of(rpc::letter_message{9, 7, true, {}})) + "content",
          text(rpc::head_of(rpc::reply_message{9, 7, true, reason})),
          text(rpc::head_of(rpc::reply_message{9, 7})) + "content",
          text(rpc::head_of(rpc::ended_message{9, reason}))};
}

std::vector<std::string> parcel_seeds() {
  auto& system = system_of_types();
  shelf inner{"inner", {}, {{"pen", 0.5}}, std::vector<bool>(12), u"ab", 1.5L};
  return {text(*rpc::pack(system, caf::make_message(caf::put_atom::value,
                                                    shelf{"outer", {inner}, {}, {}, {}, 0}))),
          text(*rpc::pack(system, caf::make_message(std::vector<std::string>{"a", "b"}, 5, true,
                                                    0.25F, std::u32string{U"x"}))),
          text(*rpc::pack(system, caf::make_message(std::map<std::string, std::string>{{"a", "b"}},
                                                    std::vector<char>{'x'}, caf::unit)))};
}

} // namespace fly::fuzz
