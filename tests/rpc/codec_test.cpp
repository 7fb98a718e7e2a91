// Proves that values come back as they were, that the bytes are those of CAF's binary_serializer,
// and that malformed bytes are errors and cost no memory.
#include "fly/rpc/codec.hpp"

#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <list>
#include <random>
#include <set>
#include <tuple>
#include <unordered_map>

#include <caf/binary_serializer.hpp>
#include <caf/optional.hpp>
#include <doctest/doctest.h>

#include "shop.hpp"

using namespace fly;
using namespace fly::rpc;

namespace {

template <class T>
T there_and_back(const T& value) {
  auto encoded = encode(value);
  REQUIRE(encoded);
  auto decoded = decode_result<T>(*encoded);
  if (!decoded)
    FAIL(fly::to_string(decoded.error()));
  return *decoded;
}

template <class... Ts>
bytes by_caf(Ts... values) {
  bytes out;
  caf::binary_serializer sink{nullptr, out};
  REQUIRE_FALSE(sink(values...));
  return out;
}

/// Fails in its inspect, as a user's type may.
struct moody {
  int mood = 0;
};

template <class Inspector>
auto inspect(Inspector& f, moody& x) {
  auto check = [&x]() -> caf::error {
    return x.mood < 0 ? make_error(errc::invalid_argument, "bad mood") : caf::error{};
  };
  return f(x.mood, caf::meta::load_callback(check), caf::meta::save_callback(check));
}

enum class throws : std::uint8_t { on_reading, on_writing, no_exception, without_text };

struct textless : std::exception {
  const char* what() const noexcept override { return nullptr; }
};

template <throws When>
struct thrower {};

template <class Inspector, throws When>
caf::error inspect(Inspector& f, thrower<When>&) {
  if constexpr (When == throws::no_exception)
    throw 42;
  if constexpr (When == throws::without_text)
    throw textless{};
  if constexpr (Inspector::writes_state == (When == throws::on_reading))
    throw std::runtime_error("not today");
  return f();
}

} // namespace

TEST_CASE("values come back as they were") {
  using namespace std::chrono;
  CHECK(there_and_back(std::numeric_limits<std::int64_t>::min()) == INT64_MIN);
  CHECK(there_and_back(std::numeric_limits<std::uint64_t>::max()) == UINT64_MAX);
  CHECK(there_and_back(std::int8_t{-1}) == -1);
  CHECK(there_and_back(std::string{"\0\xff", 2}) == std::string{"\0\xff", 2});
  CHECK(there_and_back(std::string(70'000, 'x')).size() == 70'000);
  CHECK(there_and_back(std::vector<bool>{true, false, true}) == std::vector{true, false, true});
  CHECK(there_and_back(std::map<std::string, int>{{"a", 1}, {"", 2}}).at("") == 2);
  CHECK(there_and_back(std::unordered_map<int, std::string>{{1, "a"}}).at(1) == "a");
  CHECK(there_and_back(std::set<int>{3, 1}) == std::set{1, 3});
  CHECK(there_and_back(std::array<int, 3>{1, 2, 3})[2] == 3);
  CHECK(there_and_back(std::optional<std::string>{"x"}) == "x");
  CHECK(there_and_back(std::optional<int>{}) == std::nullopt);
  CHECK(there_and_back(caf::optional<int>{7}) == 7);
  CHECK(there_and_back(std::tuple{1, std::pair{'a', 2.5}, true}) ==
        std::tuple{1, std::pair{'a', 2.5}, true});
  CHECK(there_and_back(milliseconds{-5}) == milliseconds{-5});
  CHECK(there_and_back(sys_time<microseconds>{7us}) == sys_time<microseconds>{7us});
  CHECK(there_and_back(shop::full_shelf()) == shop::full_shelf());
}

TEST_CASE("infinities, NaN and the smallest numbers travel") {
  using limits = std::numeric_limits<double>;
  for (auto value : {limits::infinity(), -limits::infinity(), limits::denorm_min(), limits::max(),
                     -0.0, 0.1, std::nextafter(1.0, 2.0)})
    CHECK(there_and_back(value) == value);
  CHECK(std::signbit(there_and_back(-0.0)));
  CHECK(std::isnan(there_and_back(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("the bytes are those of CAF's binary_serializer") {
  std::string long_text(300, 'y');
  CHECK(*encode(shop::full_shelf().orders, long_text) ==
        by_caf(shop::full_shelf().orders, long_text));
  CHECK(*encode(shop::order{1, "pen", -2}) == by_caf(shop::order{1, "pen", -2}));
  CHECK(*encode(true, 'x', std::uint16_t{258}, -1L, 2.75, -0.375f) ==
        by_caf(true, 'x', std::uint16_t{258}, -1L, 2.75, -0.375f));
  CHECK(*encode(std::vector<char>{1, 2}, std::list<int>{1, 2}, std::u16string{u"ab"}) ==
        by_caf(std::vector<char>{1, 2}, std::list<int>{1, 2}, std::u16string{u"ab"}));
  CHECK(*encode(std::tuple{1, std::string{"a"}}, std::pair{1, true}, std::array<int, 2>{1, 2}) ==
        by_caf(std::tuple{1, std::string{"a"}}, std::pair{1, true}, std::array<int, 2>{1, 2}));
  CHECK(*encode(std::chrono::milliseconds{9}, shop::size::large, caf::optional<int>{1}) ==
        by_caf(std::chrono::milliseconds{9}, shop::size::large, caf::optional<int>{1}));
}

TEST_CASE("a void result is no bytes") {
  CHECK(decode_result<void>({}));
  CHECK(decode_result<void>(bytes{0}).error() == errc::malformed_result);
}

TEST_CASE("bytes that are cut off anywhere are an error") {
  auto whole = *encode(shop::full_shelf());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    shop::shelf out;
    CHECK(decode(errc::malformed_arguments, std::span{whole}.first(length), out) ==
          errc::malformed_arguments);
  }
}

TEST_CASE("bytes that are left over are an error") {
  auto encoded = *encode(1, std::string{"a"});
  encoded.push_back(0);
  int number = 0;
  std::string text;

  auto reason = decode(errc::malformed_arguments, encoded, number, text);

  CHECK(text_of(reason) == "1 bytes are left over");
}

TEST_CASE("a forged size allocates nothing and is an error") {
  bytes huge{'\xff', '\xff', '\xff', '\xff', '\x0f', 1, 2, 3};
  CHECK_FALSE(decode_result<std::vector<char>>(huge));
  CHECK_FALSE(decode_result<std::vector<std::string>>(huge));
  CHECK_FALSE(decode_result<std::vector<std::vector<int>>>(huge));
  CHECK_FALSE(decode_result<std::vector<bool>>(huge));
  CHECK_FALSE(decode_result<std::string>(huge));
  CHECK_FALSE(decode_result<std::map<int, int>>(huge));
  CHECK_FALSE(decode_result<std::vector<std::tuple<>>>(huge));
  bytes endless(64, '\xff'); // a size that never ends
  CHECK_FALSE(decode_result<std::string>(endless));
  bytes above{'\xff', '\xff', '\xff', '\xff', '\x1f'}; // 2^33 - 1
  CHECK_FALSE(decode_result<std::string>(above));
}

TEST_CASE("a bool is 0 or 1") {
  CHECK(*decode_result<bool>(bytes{1}));
  CHECK_FALSE(decode_result<bool>(bytes{2}));
  CHECK_FALSE(decode_result<std::optional<int>>(bytes{2, 0, 0, 0, 0}));
}

TEST_CASE("nesting is bounded both ways") {
  auto nested = [](int depth) {
    shop::shelf result;
    for (int i = 1; i < depth; ++i) {
      shop::shelf outer;
      outer.shelves.push_back(std::move(result));
      result = std::move(outer);
    }
    return result;
  };
  CHECK(encode(nested(20)));
  CHECK_FALSE(encode(nested(100)));

  // label "", one shelf, label "", one shelf, ...
  bytes forged;
  for (int i = 0; i < 100'000; ++i)
    forged.insert(forged.end(), {0, 1});
  auto decoded = decode_result<shop::shelf>(forged);
  REQUIRE_FALSE(decoded);
  CHECK(text_of(decoded.error()) == "values are nested too deep");
}

TEST_CASE("an error or exception of a type's own inspect is an error of the codec") {
  CHECK(text_of(encode(moody{-1}).error()) == "bad mood");
  CHECK(encode(moody{1}));
  CHECK(text_of(decode_result<moody>(bytes{'\xff', 0, 0, 0}).error()) == "bad mood");
  CHECK(text_of(decode_result<thrower<throws::on_reading>>({}).error()) == "not today");
  auto written = encode(thrower<throws::on_writing>{});
  CHECK(written == make_error(errc::invalid_argument));
  CHECK(text_of(written.error()) == "not today");
  CHECK(encode(thrower<throws::on_reading>{}));
  const std::string odd = "what was thrown is no std::exception";
  CHECK(text_of(encode(thrower<throws::no_exception>{}).error()) == odd);
  CHECK(text_of(decode_result<thrower<throws::no_exception>>({}).error()) == odd);
  CHECK(text_of(decode_result<thrower<throws::without_text>>({}).error()) == "");
}

TEST_CASE("elements without bytes cannot travel in a container") {
  CHECK_FALSE(encode(std::vector<std::tuple<>>(3)));
  CHECK(encode(std::vector<std::tuple<>>{}));
}

TEST_CASE("mutated bytes decode or are an error, and nothing else") {
  auto good = *encode(shop::full_shelf());
  std::mt19937_64 random{4711};
  for (int round = 0; round < 50'000; ++round) {
    auto encoded = good;
    for (auto changes = random() % 4 + 1; changes > 0; --changes)
      encoded[random() % encoded.size()] = static_cast<char>(random());
    if (random() % 4 == 0)
      encoded.resize(random() % encoded.size());
    auto decoded = decode_result<shop::shelf>(encoded);
    if (!decoded)
      REQUIRE(decoded.error() == errc::malformed_result);
  }
}
