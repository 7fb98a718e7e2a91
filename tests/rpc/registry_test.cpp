// Proves which names are served, and what is said of those that are not.
#include "fly/rpc/registry.hpp"

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"

using namespace fly;
using namespace fly::rpc;

namespace {

served_function function_of(std::string signature_text) {
  return {
      signature{std::move(signature_text)},
      {},
      [](const call_context&, std::span<const char>) -> caf::expected<bytes> { return bytes{}; }};
}

} // namespace

TEST_CASE("a function is found by name, with its fingerprint or with none") {
  registry names;
  REQUIRE_FALSE(names.add("shop.shout", function_of("(str)->str")));

  CHECK(names.find("shop.shout", signature{"(str)->str"}.fingerprint));
  CHECK(names.find("shop.shout", 0));
  CHECK((*names.find("shop.shout", 0))->signature.text == "(str)->str");
}

TEST_CASE("an unknown name and another signature are different errors") {
  registry names;
  names.add("shop.shout", function_of("(str)->str"));

  auto unknown = names.find("shop.whisper", 0);
  auto mismatch = names.find("shop.shout", signature{"(i32)->str"}.fingerprint);

  CHECK(unknown.error() == errc::unknown_function);
  CHECK(text_of(unknown.error()).find("shop.whisper") != std::string::npos);
  CHECK(mismatch.error() == errc::signature_mismatch);
  CHECK(details_of(mismatch.error()).at("served") == "(str)->str");
}

TEST_CASE("a name is served once in a signature, until it is removed") {
  registry names;
  REQUIRE_FALSE(names.add("a", function_of("()->void")));

  auto again = names.add("a", function_of("()->void"));

  CHECK(again == errc::already_served);
  CHECK((*names.find("a", 0))->signature.text == "()->void");
  CHECK(names.remove("a"));
  CHECK_FALSE(names.remove("a"));
  CHECK_FALSE(names.add("a", function_of("()->str")));
}

TEST_CASE("a name may be served in several signatures, and goes with all of them") {
  registry names;
  REQUIRE_FALSE(names.add("a", function_of("(i32)->str")));
  REQUIRE_FALSE(names.add("a", function_of("(i32,?str)->str")));
  auto text_of_found = [&](std::string text) {
    auto found = names.find("a", signature{std::move(text)}.fingerprint);
    return found ? (*found)->signature.text : details_of(found.error()).at("served");
  };

  CHECK(text_of_found("(i32)->str") == "(i32)->str");
  CHECK(text_of_found("(i32,?str)->str") == "(i32,?str)->str");
  CHECK(text_of_found("()->void") == "(i32)->str, (i32,?str)->str");
  CHECK((*names.find("a", 0))->signature.text == "(i32)->str");
  CHECK(names.signatures().at("a") == "(i32)->str");
  CHECK(names.offer().at("a").size() == 2);
  CHECK(*parse_announcement(announcement_of(names.offer())) == names.offer());
  CHECK(names.remove("a"));
  CHECK(names.find("a", 0).error() == errc::unknown_function);
}

TEST_CASE("the number of signatures of a name is bounded") {
  registry names;
  auto text = [](std::size_t i) { return "([i32;" + std::to_string(i + 1) + "])->void"; };
  for (std::size_t i = 0; i < registry::signatures_max; ++i)
    REQUIRE_FALSE(names.add("a", function_of(text(i))));

  CHECK(names.add("a", function_of(text(0))) == errc::already_served);
  CHECK(names.add("a", function_of(text(100))) == errc::invalid_argument);
}

TEST_CASE("names, handlers and signatures that cannot be used are refused") {
  registry names;
  CHECK(names.add("", function_of("()->void")) == errc::invalid_argument);
  CHECK(names.add(std::string(201, 'n'), function_of("()->void")) == errc::invalid_argument);
  CHECK(names.add("a b", function_of("()->void")) == errc::invalid_argument);
  CHECK(names.add("a\n", function_of("()->void")) == errc::invalid_argument);
  CHECK(names.add("a", function_of("")) == errc::invalid_argument);
  CHECK(names.add("a", {signature{"()->void"}, {}, nullptr}) == errc::invalid_argument);
  CHECK_FALSE(names.add(std::string(200, 'n'), function_of("()->void")));
}

TEST_CASE("the number of names is bounded") {
  registry names;
  for (std::size_t i = 0; i < registry::names_max; ++i)
    REQUIRE_FALSE(names.add("n" + std::to_string(i), function_of("()->void")));

  CHECK(names.add("one_more", function_of("()->void")) == errc::invalid_argument);
}

TEST_CASE("an offer comes back as it was announced, and no announcement is malformed") {
  registry names;
  names.add("a", function_of("()->void"));
  names.add("b", function_of("()->str"));

  auto text = announcement_of(names.offer());

  CHECK(*parse_announcement(text) == names.offer());
  CHECK(parse_announcement(announcement_of({}))->empty());
  CHECK_FALSE(announcement_of({}).empty());
  CHECK_FALSE(parse_announcement(""));
  CHECK_FALSE(parse_announcement(text.substr(0, text.size() - 1)));
  CHECK_FALSE(parse_announcement("\x02"));
}
