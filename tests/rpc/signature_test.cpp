// Proves that signature texts are read as the grammar says, and that no text is too bad to refuse.
#include "fly/rpc/signature.hpp"

#include <random>
#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"

using namespace fly;
using namespace fly::rpc;

TEST_CASE("the fingerprint is FNV-1a of the text, and 0 only for none") {
  CHECK(signature{}.fingerprint == 0);
  CHECK(signature{""}.fingerprint == 0);
  CHECK(signature{"a"}.fingerprint == 0xaf63dc4c8601ec8c);
  CHECK(signature{"(i32)->str"} != signature{"(i64)->str"});
}

TEST_CASE("a signature is parsed into its types") {
  auto parsed = parse_signature("(str,?i32,{str:[u8]})->shop::order{i64,str,(f32,bool)} write");

  REQUIRE(parsed);
  REQUIRE(parsed->arguments.size() == 3);
  CHECK(parsed->arguments[0].kind == type_kind::text);
  CHECK(parsed->arguments[1].kind == type_kind::optional);
  CHECK(parsed->arguments[1].inner[0].size == 4);
  CHECK(parsed->arguments[1].inner[0].is_signed);
  CHECK(parsed->arguments[2].kind == type_kind::map);
  CHECK_FALSE(parsed->arguments[2].inner[1].inner[0].is_signed);
  CHECK(parsed->result.kind == type_kind::object);
  CHECK(parsed->result.name == "shop::order");
  REQUIRE(parsed->result.inner.size() == 3);
  CHECK(parsed->result.inner[2].inner[0].kind == type_kind::real);
  CHECK(parsed->mark == "write");
}

TEST_CASE("a function may take and return nothing") {
  auto parsed = parse_signature("()->void");

  REQUIRE(parsed);
  CHECK(parsed->arguments.empty());
  CHECK(parsed->result.kind == type_kind::nothing);
  CHECK(parsed->mark.empty());
}

TEST_CASE("a name in a map's key is told from the map's colon") {
  auto parsed = parse_type("{shop::id{i64}:{str:shop::order{}}}");

  REQUIRE(parsed);
  CHECK(parsed->inner[0].name == "shop::id");
  CHECK(parsed->inner[1].inner[1].name == "shop::order");
}

TEST_CASE(
    "a type may contain itself by counting outwards, but not further than there are objects") {
  CHECK(parse_type("tree{[^0]}"));
  CHECK(parse_type("forest{tree{^1}}"));
  CHECK_FALSE(parse_type("^0"));
  CHECK_FALSE(parse_type("tree{[^1]}"));
}

TEST_CASE("wrong texts are refused with the place") {
  for (const auto* text : {"",
                           "(",
                           "()",
                           "()->",
                           "(i32->str",
                           "(i32,)->str",
                           "(i33)->str",
                           "(f8)->str",
                           "()->str x y",
                           "()->str ",
                           "()->str,",
                           "([i32)->str",
                           "([i32;])->str",
                           "([i32;99999999])->str",
                           "({str})->str",
                           "({str:)->str",
                           "(?)->str",
                           "(order{)->str",
                           "(void)->str",
                           "(:)->str"}) {
    CAPTURE(text);
    auto parsed = parse_signature(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error() == errc::invalid_argument);
    CHECK(text_of(parsed.error()).find("at byte") != std::string::npos);
  }
}

TEST_CASE("depth and length are bounded") {
  auto nested = [](std::size_t depth) { return std::string(depth, '?') + "i32"; };
  CHECK(parse_type(nested(signature_depth_max - 1)));
  CHECK_FALSE(parse_type(nested(signature_depth_max)));
  CHECK_FALSE(parse_type(nested(1'000'000)));

  auto wide = [](std::size_t bytes) { return "a{" + std::string(bytes - 3, '_') + "}"; };
  CHECK_FALSE(parse_type(wide(signature_bytes_max))); // not a known type, but read
  CHECK(text_of(parse_type(wide(signature_bytes_max + 1)).error()).find("16 KiB") !=
        std::string::npos);
}

TEST_CASE("mutated texts are accepted or refused, and nothing else") {
  const std::string good = "(str,?i32,{str:[u8;3]},tree{[^0]})->shop::order{i64,(f32,bool)} write";
  std::mt19937_64 random{20};
  for (int round = 0; round < 20'000; ++round) {
    auto text = good;
    for (auto changes = random() % 4 + 1; changes > 0; --changes) {
      auto at = random() % text.size();
      switch (random() % 3) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, random() % 4);
        break;
      default:
        text.insert(at, 1, good[random() % good.size()]);
      }
      if (text.empty())
        text = good;
    }
    auto parsed = parse_signature(text);
    if (!parsed)
      REQUIRE(parsed.error() == errc::invalid_argument);
  }
}
