// Proves that C++ types have the texts that the grammar gives them.
#include "fly/rpc/type_text.hpp"

#include <array>
#include <chrono>
#include <list>
#include <set>
#include <tuple>
#include <unordered_map>

#include <caf/optional.hpp>
#include <doctest/doctest.h>

#include "shop.hpp"

using namespace fly::rpc;

namespace {

struct unnamed {
  int x = 0;
};

template <class Inspector>
auto inspect(Inspector& f, unnamed& x) {
  return f(x.x);
}

struct odd_name {
  unnamed inner;
};

template <class Inspector>
auto inspect(Inspector& f, odd_name& x) {
  return f(caf::meta::type_name("box<int, {str:"), x.inner);
}

} // namespace

TEST_CASE("built-in types have short names by size and sign") {
  CHECK(type_signature<std::int8_t>() == "i8");
  CHECK(type_signature<char>() == "i8");
  CHECK(type_signature<std::uint16_t>() == "u16");
  CHECK(type_signature<int>() == "i32");
  CHECK(type_signature<long>() == "i64");
  CHECK(type_signature<std::uint64_t>() == "u64");
  CHECK(type_signature<float>() == "f32");
  CHECK(type_signature<double>() == "f64");
  CHECK(type_signature<bool>() == "bool");
  CHECK(type_signature<std::string>() == "str");
  CHECK(type_signature<shop::size>() == "u8");
}

TEST_CASE("containers, tuples and optionals nest") {
  CHECK(type_signature<std::vector<std::list<std::string>>>() == "[[str]]");
  CHECK(type_signature<std::set<int>>() == "[i32]");
  CHECK(type_signature<std::array<int, 3>>() == "[i32;3]");
  CHECK(type_signature<std::map<std::string, std::optional<int>>>() == "{str:?i32}");
  CHECK(type_signature<std::unordered_map<int, bool>>() == "{i32:bool}");
  CHECK(type_signature<caf::optional<std::string>>() == "?str");
  CHECK(type_signature<std::tuple<>>() == "()");
  CHECK(type_signature<std::tuple<std::pair<int, char>, bool>>() == "((i32,i8),bool)");
  CHECK(type_signature<std::vector<bool>>() == "[bool]");
}

TEST_CASE("durations of different units are different types") {
  CHECK(type_signature<std::chrono::milliseconds>() == "ms{i64}");
  CHECK(type_signature<std::chrono::minutes>() == "ticks_60_1{i64}");
  CHECK(type_signature<std::chrono::sys_time<std::chrono::microseconds>>() == "time{us{i64}}");
}

TEST_CASE("objects have the name and fields of their inspect, and may contain themselves") {
  CHECK(type_signature<shop::order>() == "shop::order{i64,str,i32}");
  CHECK(type_signature<shop::shelf>() ==
        "shop::shelf{str,[^0],{str:shop::order{i64,str,i32}},?f64,u8}");
  CHECK(type_signature<unnamed>() == "struct{i32}");
  CHECK(type_signature<odd_name>() == "box_int___str_{struct{i32}}");
}

TEST_CASE("a function's signature is its arguments, its result, and can be parsed") {
  auto whole = signature_of<shop::shelf(std::string, shop::order)>();

  CHECK(signature_of<void()>().text == "()->void");
  CHECK(whole.text == "(str,shop::order{i64,str,i32})->" + type_signature<shop::shelf>());
  CHECK(whole == signature{whole.text});
  CHECK(parse_signature(whole.text));
  CHECK(parse_type(type_signature<odd_name>()));
}
