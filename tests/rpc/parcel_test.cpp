// Proves that messages of registered types come back as they were, that others are refused by name
// on either side, and that no bytes make the reader crash, hang or take memory beyond them.
#include "fly/rpc/parcel.hpp"

#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/system_messages.hpp>
#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"
#include "fly/rpc/value_source.hpp"
#include "shop.hpp"

using namespace fly;
using namespace fly::rpc;
using cluster::bytes_of;

namespace {

/// A type that contains itself.
struct tree {
  std::vector<tree> branches;
};

template <class Inspector>
auto inspect(Inspector& f, tree& x) {
  return f(caf::meta::type_name("tree"), x.branches);
}

/// A type whose reading throws an exception, or what is none.
template <bool Exception>
struct grumpy {
  std::int32_t mood = 0;
};

template <class Inspector, bool Exception>
auto inspect(Inspector& f, grumpy<Exception>& x) {
  if constexpr (Inspector::writes_state)
    if (x.mood == 0) {
      if constexpr (Exception)
        throw std::runtime_error{"not today"};
      else
        throw x.mood;
    }
  return f(caf::meta::type_name("grumpy"), x.mood);
}

struct with_actor {
  caf::actor who;
};

template <class Inspector>
auto inspect(Inspector& f, with_actor& x) {
  return f(caf::meta::type_name("with_actor"), x.who);
}

struct unknown {
  std::int32_t x = 0;
};

template <class Inspector>
auto inspect(Inspector& f, unknown& x) {
  return f(caf::meta::type_name("unknown"), x.x);
}

struct config : caf::actor_system_config {
  config() {
    add_message_type<shop::order>("shop::order");
    add_message_type<tree>("tree");
    add_message_type<grumpy<true>>("grumpy");
    add_message_type<grumpy<false>>("sulky");
    add_message_type<with_actor>("with_actor");
    add_message_type<std::vector<bool>>("flags");
    add_message_type<std::vector<double>>("reals");
    set("scheduler.max-threads", std::size_t{1});
  }
};

struct fixture {
  config settings;
  caf::actor_system system{settings};

  caf::message there_and_back(const caf::message& what) {
    auto packed = pack(system, what);
    REQUIRE_MESSAGE(packed, fly::to_string(packed.error()));
    auto result = unpack(system, bytes_of(*packed));
    REQUIRE_MESSAGE(result, fly::to_string(result.error()));
    return *result;
  }

  std::string refusal(const caf::message& what) {
    auto packed = pack(system, what);
    REQUIRE_FALSE(packed);
    CHECK(packed.error() == errc::malformed_arguments);
    return text_of(packed.error());
  }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "messages come back as they were") {
  shop::order pen{7, "pen", 2};
  auto back = there_and_back(caf::make_message(caf::put_atom::value, pen, std::string{"x"}, -5,
                                               true, std::u16string{u"\u00e9"}, 1.5L));

  REQUIRE(back.match_elements<caf::put_atom, shop::order, std::string, int, bool, std::u16string,
                              long double>());
  CHECK(back.get_as<shop::order>(1) == pen);
  CHECK(back.get_as<int>(3) == -5);
  CHECK(back.get_as<std::u16string>(5) == u"\u00e9");
  CHECK(back.get_as<long double>(6) == 1.5L);
  CHECK(there_and_back(caf::message{}).empty());
}

TEST_CASE_FIXTURE(fixture, "every real number travels, infinity and the smallest among them") {
  using limits = std::numeric_limits<double>;
  std::vector<double> all{
      0.0, -0.0, limits::infinity(), -limits::infinity(), limits::denorm_min(), limits::max(), 0.1};
  CHECK(there_and_back(caf::make_message(all)).get_as<std::vector<double>>(0) == all);
  auto nan = there_and_back(caf::make_message(limits::quiet_NaN())).get_as<double>(0);
  CHECK(nan != nan);
  auto wide = std::numeric_limits<long double>::infinity();
  CHECK(there_and_back(caf::make_message(wide)).get_as<long double>(0) == wide);
}

TEST_CASE_FIXTURE(fixture, "many flags travel as bits") {
  for (std::size_t size : {0, 1, 7, 8, 9, 100, 1001}) {
    std::vector<bool> flags(size);
    for (std::size_t i = 0; i < size; i += 3)
      flags[i] = true;
    CHECK(there_and_back(caf::make_message(flags)).get_as<std::vector<bool>>(0) == flags);
  }
}

TEST_CASE_FIXTURE(fixture, "what has a meaning here only stays here, and is named") {
  caf::scoped_actor self{system};
  caf::actor handle{self};

  CHECK(refusal(caf::make_message(unknown{})).find("not registered") != std::string::npos);
  CHECK(refusal(caf::make_message(handle)).find("\"@actor\"") != std::string::npos);
  CHECK(refusal(caf::make_message(caf::exit_msg{})).find("\"@exit\"") != std::string::npos);
  CHECK(refusal(caf::make_message(caf::down_msg{})).find("\"@down\"") != std::string::npos);
  CHECK(refusal(caf::make_message(with_actor{handle})).find("\"with_actor\"") != std::string::npos);
  caf::message_builder many;
  for (std::size_t i = 0; i <= parcel_values_max; ++i)
    many.append(1);
  CHECK(refusal(many.to_message()).find("32 values") != std::string::npos);
}

TEST_CASE_FIXTURE(fixture, "a type that the receiver does not know is refused by name") {
  cluster::wire_writer out;
  out.number(std::uint8_t{1}).text("shop::refund");

  auto read = unpack(system, out.bytes());

  REQUIRE_FALSE(read);
  CHECK(read.error() == errc::malformed_arguments);
  CHECK(text_of(read.error()).find("\"shop::refund\"") != std::string::npos);
}

TEST_CASE_FIXTURE(fixture, "a stranger cannot send what actors obey") {
  for (const char* name : {"@exit", "@down", "@actor", "@strong_actor_ptr", "@message", "@error",
                           "@group", "@timeout", "@upstream_msg", "@config_value"}) {
    cluster::wire_writer out;
    out.number(std::uint8_t{1}).text(name).number(std::uint64_t{0}).number(std::uint64_t{0});
    auto read = unpack(system, out.bytes());
    REQUIRE_FALSE(read);
    CHECK(text_of(read.error()).find("does not travel") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(fixture, "what inspect throws is an error") {
  auto packed = pack(system, caf::make_message(grumpy<true>{1}));
  REQUIRE(packed);
  auto read = unpack(system, bytes_of(*packed));
  REQUIRE_FALSE(read);
  CHECK(text_of(read.error()).ends_with(" cannot be read: not today"));
  packed = pack(system, caf::make_message(grumpy<false>{1}));
  REQUIRE(packed);
  CHECK(unpack(system, bytes_of(*packed)).error() == errc::malformed_arguments);
}

TEST_CASE_FIXTURE(fixture, "a value that contains itself too deeply is refused") {
  auto deep = [](std::size_t depth) {
    tree result;
    for (std::size_t i = 1; i < depth; ++i)
      result = tree{{result}};
    return caf::make_message(result);
  };
  CHECK(there_and_back(deep(value_source::depth_max)).size() == 1);
  auto packed = pack(system, deep(value_source::depth_max + 1));
  REQUIRE(packed);
  CHECK(unpack(system, bytes_of(*packed)).error() == errc::malformed_arguments);
}

TEST_CASE_FIXTURE(fixture, "a length beyond the bytes is refused before memory is taken") {
  for (const char* type : {"@str", "@strvec", "@charbuf", "@u32str", "reals", "flags", "tree"}) {
    cluster::wire_writer out;
    out.number(std::uint8_t{1}).text(type).number(0xffffff7fU).number(std::uint8_t{15});
    CHECK(unpack(system, out.bytes()).error() == errc::malformed_arguments);
  }
}

TEST_CASE_FIXTURE(fixture, "no bytes crash the reader of messages") {
  std::mt19937_64 random{7};
  auto good = *pack(system, caf::make_message(caf::put_atom::value, shop::order{7, "pen", 2},
                                              std::vector<std::string>{"a", "b"}, 0.5,
                                              std::vector<bool>(12), tree{{tree{}, tree{}}}));
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = good;
    for (auto changes = 1 + random() % 3; changes > 0; --changes)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    bytes.resize(random() % 4 == 0 ? random() % bytes.size() : bytes.size());
    auto read = unpack(system, bytes_of(bytes));
    if (!read)
      REQUIRE(read.error() == errc::malformed_arguments);
  }
}
