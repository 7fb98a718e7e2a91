// Proves that JSON by a signature's text gives exactly the bytes of the typed codec, and back.
#include "fly/rpc/json_codec.hpp"

#include <limits>
#include <random>
#include <tuple>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/rpc/codec.hpp"
#include "fly/rpc/type_text.hpp"
#include "shop.hpp"

using namespace fly;
using namespace fly::rpc;

namespace {

/// Encodes the JSON array `text` as the types of `Ts`.
template <class... Ts>
caf::expected<bytes> from_json(std::string_view text) {
  auto parsed = parse_signature(signature_of<void(Ts...)>().text);
  REQUIRE(parsed);
  return json_to_bytes(parsed->arguments, text);
}

template <class T>
std::string to_json(const T& value) {
  auto text = bytes_to_json(*parse_type(type_signature<T>()), *encode(value));
  if (!text)
    FAIL(fly::to_string(text.error()));
  return *text;
}

template <class... Ts>
void check_same(std::string_view text, const Ts&... values) {
  CAPTURE(text);
  auto encoded = from_json<Ts...>(text);
  if (!encoded)
    FAIL(fly::to_string(encoded.error()));
  CHECK(*encoded == *encode(values...));
}

} // namespace

TEST_CASE("JSON gives the bytes of the typed codec") {
  check_same("[]");
  check_same(R"(["pen", 2])", std::string{"pen"}, std::int32_t{2});
  check_same("[-128, 255, -9223372036854775808, 18446744073709551615]", std::int8_t{-128},
             std::uint8_t{255}, INT64_MIN, UINT64_MAX);
  check_same("[1.5, -2, 1e300, true]", 1.5f, -2.0, 1e300, true);
  check_same("[null, 3, [null, 4]]", std::optional<int>{}, std::optional<int>{3},
             std::vector<std::optional<int>>{{}, 4});
  check_same(R"([{"b": [1], "a": []}, [[2, "x"], [3, "y"]]])",
             std::map<std::string, std::vector<int>>{{"a", {}}, {"b", {1}}},
             std::map<int, std::string>{{2, "x"}, {3, "y"}});
  check_same("[[1, [true, \"z\"]], [7, 8]]", std::tuple{1, std::pair{true, std::string{"z"}}},
             std::array<int, 2>{7, 8});
  check_same("[[1500], [[-1]], []]", std::chrono::milliseconds{1500},
             std::chrono::sys_time<std::chrono::microseconds>{std::chrono::microseconds{-1}},
             std::tuple<>{});
  check_same(R"(["\u00e9\u0000"])", std::string{"\xc3\xa9\0", 3});
}

TEST_CASE("objects are arrays of their fields, also where they contain themselves") {
  shop::shelf shelf{"a", {{"b", {}, {}, {}, shop::size::large}}, {{"pen", {1, "pen", 2}}}, 0.5, {}};
  shelf.kind = shop::size::small;
  auto text = R"(["a",[["b",[],{},null,2]],{"pen":[1,"pen",2]},0.5,1])";

  check_same("[" + std::string{text} + "]", shelf);
  CHECK(to_json(shelf) == text);
}

TEST_CASE("results become JSON") {
  CHECK(to_json(std::string{"a\"\n"}) == R"("a\"\n")");
  CHECK(to_json(std::int8_t{-1}) == "-1");
  CHECK(to_json(std::uint32_t{0xffffffff}) == "4294967295");
  CHECK(to_json(UINT64_MAX) == "18446744073709551615");
  CHECK(to_json(INT64_MIN) == "-9223372036854775808");
  CHECK(to_json(std::numeric_limits<double>::infinity()) == "null");
  CHECK(to_json(0.25f) == "0.25");
  CHECK(to_json(std::string{"\xff"}) == "\"\xef\xbf\xbd\"");
  CHECK(to_json(std::map<int, bool>{{1, true}}) == "[[1,true]]");
  CHECK(*bytes_to_json(parse_signature("()->void")->result, {}) == "null");
}

TEST_CASE("arguments that do not fit are refused with the place") {
  auto refused = [](auto encoded, std::string_view what) {
    REQUIRE_FALSE(encoded);
    CHECK(encoded.error() == errc::invalid_argument);
    CAPTURE(text_of(encoded.error()));
    CHECK(text_of(encoded.error()).find(what) != std::string::npos);
  };
  refused(from_json<int>("[1"), "not JSON");
  refused(from_json<int>("{}"), "an array of 1 values");
  refused(from_json<int>("[1, 2]"), "an array of 1 values");
  refused(from_json<int>("[1.5]"), "an integer");
  refused(from_json<std::int8_t>("[128]"), "i8");
  refused(from_json<std::int8_t>("[-129]"), "i8");
  refused(from_json<std::uint8_t>("[256]"), "u8");
  refused(from_json<std::uint64_t>("[-1]"), "u64");
  refused(from_json<std::int64_t>("[9223372036854775808]"), "i64");
  refused(from_json<float>("[1e300]"), "f32");
  refused(from_json<bool>("[1]"), "true or false");
  refused(from_json<std::string>("[null]"), "a string");
  refused(from_json<std::vector<int>>("[{}]"), "an array");
  refused(from_json<std::map<int, int>>("[{}]"), "pairs");
  refused(from_json<std::array<int, 2>>("[[1]]"), "an array of 2");
  refused(from_json<std::vector<std::tuple<>>>("[[[],[]]]"), "without bytes");
}

TEST_CASE("nesting without end is refused, in JSON and in bytes") {
  std::string deep(1'000'000, '[');
  CHECK_FALSE(from_json<int>(deep));
  std::string shelf;
  for (int i = 0; i < 40; ++i)
    shelf += R"(["",[)";
  CHECK_FALSE(from_json<shop::shelf>("[" + shelf));

  bytes forged;
  for (int i = 0; i < 100'000; ++i)
    forged.insert(forged.end(), {0, 1});
  CHECK(bytes_to_json(*parse_type(type_signature<shop::shelf>()), forged).error() ==
        errc::malformed_result);
}

TEST_CASE("a type that takes no bytes cannot make us loop for ever") {
  auto bomb = parse_type("[[[[();1000000];1000000];1000000];1000000]");
  REQUIRE(bomb);
  CHECK_FALSE(bytes_to_json(*bomb, {}));
}

TEST_CASE("mutated bytes become JSON or an error, and nothing else") {
  auto type = *parse_type(type_signature<shop::shelf>());
  auto good = *encode(shop::full_shelf());
  std::mt19937_64 random{99};
  for (int round = 0; round < 5'000; ++round) {
    auto encoded = good;
    for (auto changes = random() % 4 + 1; changes > 0; --changes)
      encoded[random() % encoded.size()] = static_cast<char>(random());
    auto text = bytes_to_json(type, encoded);
    REQUIRE(static_cast<bool>(text) == static_cast<bool>(decode_result<shop::shelf>(encoded)));
  }
}
