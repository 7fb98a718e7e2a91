// Proves what each error says: its code, its effect, its text and details.
#include "fly/actors/error.hpp"

#include <doctest/doctest.h>

#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>

using fly::effect;
using fly::errc;

TEST_CASE("an error compares by its code alone") {
  auto reason = fly::make_error(errc::no_primary, "nobody writable within 5s");

  CHECK(reason == errc::no_primary);
  CHECK_FALSE(reason == errc::timeout);
}

TEST_CASE("the number of an error says whether anything ran") {
  CHECK(fly::effect_of(errc::invalid_argument) == effect::nothing_ran);
  CHECK(fly::effect_of(errc::already_served) == effect::nothing_ran);
  CHECK(fly::effect_of(errc::function_failed) == effect::ran);
  CHECK(fly::effect_of(errc::malformed_result) == effect::ran);
  CHECK(fly::effect_of(errc::timeout) == effect::unknown);
  CHECK(fly::effect_of(errc::outcome_unknown) == effect::unknown);
}

TEST_CASE("an error prints its name, its text and what ran") {
  auto reason = fly::make_error(errc::no_node_in_region, "nobody in hkg within 2s");

  CHECK(fly::to_string(reason) == "no_node_in_region: nobody in hkg within 2s (nothing ran)");
  CHECK(fly::to_string(fly::make_error(errc::timeout)) == "timeout (unknown)");
  CHECK(fly::to_string(caf::error{}) == "no error");
  CHECK(fly::to_string(static_cast<errc>(200)) == "errc(200)");
}

TEST_CASE("text and details are found again") {
  auto reason = fly::make_error(errc::sql_failed, "duplicate key", {{"sqlstate", "23505"}});

  CHECK(fly::text_of(reason) == "duplicate key");
  CHECK(fly::details_of(reason).at("sqlstate") == "23505");
  CHECK(fly::details_of(fly::make_error(errc::timeout)).empty());
  CHECK(fly::text_of(caf::error{}).empty());
}

TEST_CASE("an error of CAF maps to the nearest of ours") {
  CHECK(fly::code_of(caf::make_error(caf::sec::request_timeout)) == errc::timeout);
  CHECK(fly::code_of(caf::make_error(caf::sec::request_receiver_down)) == errc::shutting_down);
  CHECK(fly::code_of(caf::make_error(caf::exit_reason::kill)) == errc::shutting_down);
  CHECK(fly::code_of(caf::make_error(caf::sec::bad_function_call)) == errc::outcome_unknown);
}
