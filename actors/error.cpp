#include "fly/actors/error.hpp"

#include <array>
#include <cassert>
#include <utility>

#include <caf/atom.hpp>
#include <caf/exit_reason.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

namespace fly {

namespace {

constexpr auto category = caf::atom("fly");

constexpr std::array<std::pair<errc, const char*>, 34> names{{
    {errc::invalid_argument, "invalid_argument"},
    {errc::no_node_in_region, "no_node_in_region"},
    {errc::no_primary, "no_primary"},
    {errc::no_such_member, "no_such_member"},
    {errc::unknown_function, "unknown_function"},
    {errc::signature_mismatch, "signature_mismatch"},
    {errc::malformed_arguments, "malformed_arguments"},
    {errc::overloaded, "overloaded"},
    {errc::not_primary, "not_primary"},
    {errc::blocking_refused, "blocking_refused"},
    {errc::shutting_down, "shutting_down"},
    {errc::expired, "expired"},
    {errc::handshake_failed, "handshake_failed"},
    {errc::dns_failed, "dns_failed"},
    {errc::cannot_listen, "cannot_listen"},
    {errc::database_unavailable, "database_unavailable"},
    {errc::malformed_frame, "malformed_frame"},
    {errc::frame_too_large, "frame_too_large"},
    {errc::foreign_position, "foreign_position"},
    {errc::may_be_lost, "may_be_lost"},
    {errc::key_fenced, "key_fenced"},
    {errc::key_reused, "key_reused"},
    {errc::not_leader, "not_leader"},
    {errc::not_found, "not_found"},
    {errc::not_allowed, "not_allowed"},
    {errc::not_visible, "not_visible"},
    {errc::already_served, "already_served"},
    {errc::restarts_exceeded, "restarts_exceeded"},
    {errc::function_failed, "function_failed"},
    {errc::sql_failed, "sql_failed"},
    {errc::malformed_result, "malformed_result"},
    {errc::timeout, "timeout"},
    {errc::member_lost, "member_lost"},
    {errc::outcome_unknown, "outcome_unknown"},
}};

} // namespace

namespace {

/// Null where it has none.
const error_details* details_in(const caf::error& reason) noexcept {
  if (!reason || reason.category() != category)
    return nullptr;
  const auto& context = reason.context();
  return context.size() > 1 && context.match_element<error_details>(1)
             ? &context.get_as<error_details>(1)
             : nullptr;
}

} // namespace

effect effect_of(errc code) noexcept {
  auto number = static_cast<std::uint8_t>(code);
  if (number < 64)
    return effect::nothing_ran;
  return number < 96 ? effect::ran : effect::unknown;
}

effect effect_of(const caf::error& reason) noexcept {
  auto result = effect_of(code_of(reason));
  const auto* details = result == effect::nothing_ran ? details_in(reason) : nullptr;
  return details != nullptr && details->contains(returned_detail) ? effect::unknown : result;
}

std::string to_string(errc code) {
  for (const auto& [known, name] : names)
    if (known == code)
      return name;
  return "errc(" + std::to_string(static_cast<int>(code)) + ")";
}

std::string_view to_string(effect what) noexcept {
  switch (what) {
  case effect::nothing_ran:
    return "nothing ran";
  case effect::ran:
    return "ran";
  case effect::unknown:
    break;
  }
  return "unknown";
}

caf::error make_error(errc code) {
  return caf::error{static_cast<std::uint8_t>(code), category};
}

caf::error make_error(errc code, std::string text, error_details details) {
  return caf::error{static_cast<std::uint8_t>(code), category,
                    caf::make_message(std::move(text), std::move(details))};
}

errc code_of(const caf::error& reason) noexcept {
  assert(reason);
  if (reason.category() == category)
    return static_cast<errc>(reason.code());
  if (reason == caf::sec::request_timeout)
    return errc::timeout;
  if (reason == caf::sec::request_receiver_down || reason.category() == caf::atom("exit"))
    return errc::shutting_down;
  return errc::outcome_unknown;
}

std::string text_of(const caf::error& reason) {
  if (!reason)
    return {};
  if (reason.category() != category)
    return caf::to_string(reason);
  const auto& context = reason.context();
  return context.size() > 0 && context.match_element<std::string>(0)
             ? context.get_as<std::string>(0)
             : std::string{};
}

error_details details_of(const caf::error& reason) {
  const auto* details = details_in(reason);
  return details != nullptr ? *details : error_details{};
}

std::string to_string(const caf::error& reason) {
  if (!reason)
    return "no error";
  auto code = code_of(reason);
  auto result = to_string(code);
  if (auto text = text_of(reason); !text.empty())
    result += ": " + text;
  result += " (";
  result += to_string(effect_of(reason));
  return result + ")";
}

} // namespace fly
