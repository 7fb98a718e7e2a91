#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caf/error.hpp>
#include <caf/meta/type_name.hpp>

#include "fly/actors/error.hpp"
#include "fly/rpc/call.hpp"
#include "fly/rpc/call_trace.hpp"
#include "fly/rpc/function.hpp"

/// One real call, made by a member for a visitor and timed by part.
namespace fly::rpc {

class endpoint;

/// The parts that this floor tells apart; the serving side adds its own (call_parts.hpp).
inline constexpr std::string_view find_member_part = "find_member";
inline constexpr std::string_view wire_part = "wire";
/// Stands in `stopped_in` where a call was sent and no answer came: wire, queue or function.
inline constexpr std::string_view round_trip_part = "round_trip";

/// A call to be made and timed.
struct explain_request {
  enum target::kind kind = target::kind::primary; ///< Who is asked, see `target`.
  std::string whom;
  std::string name;
  std::string signature; ///< What the arguments are; checked by who serves it.
  bytes arguments;
  std::chrono::microseconds timeout{0}; ///< Of the call, 1 ms to a day.
};

template <class Inspector>
auto inspect(Inspector& f, explain_request& x) {
  return f(caf::meta::type_name("fly::explain_request"), x.kind, x.whom, x.name, x.signature,
           x.arguments, x.timeout);
}

/// What became of it. A value.
struct explanation {
  /// Who was handed the call last; empty where nobody was.
  std::string member;
  /// Each part once, in order: find_member, queue, wire, function, and those of the floors above. A
  /// part that the call did not have, or did not reach, is not there. With an answer they add up to
  /// `total`; "wire" is what is left of the round trip.
  std::vector<std::pair<std::string, std::chrono::microseconds>> parts;
  std::chrono::microseconds total{0};
  /// Where a call stopped that has no result, as a part; empty where that is not known.
  std::string stopped_in;
  std::uint8_t code = 0; ///< Number of the errc; 0 for a result.
  std::string text;
  error_details details;
  bytes result; ///< Encoded; empty with an error.
  /// Where a write was committed, whether the local database has it, and why it has not. The
  /// position is empty for a call that is no write.
  std::string position;
  bool visible = false;
  std::string late;
};

template <class Inspector>
auto inspect(Inspector& f, explanation& x) {
  return f(caf::meta::type_name("fly::explanation"), x.member, x.parts, x.total, x.stopped_in,
           x.code, x.text, x.details, x.result, x.position, x.visible, x.late);
}

/// Served by every endpoint: makes the call from there. Blocks one of its workers meanwhile.
inline constexpr function<explanation(explain_request)> explain{"fly.explain"};

/// Returns who, the parts and the total of a call that began at `begun` and whose caller went on at
/// `ended`; `reason` is what it ended with, empty for a result. Pure.
explanation account_for(const call_trace& trace, call_trace::time_point begun,
                        call_trace::time_point ended, const caf::error& reason);

/// Adds a part behind the others, and to the total.
void add_part(explanation& to, std::string_view name, std::chrono::microseconds took);

/// Returns the error that the call ended with; empty for a result.
caf::error error_of(const explanation& from);

/// Returns when a call that begins now ends: after the request's timeout, and no later than the
/// current call, whose caller waits for the explanation.
std::chrono::steady_clock::time_point deadline_of(const explain_request& asked,
                                                  std::chrono::steady_clock::time_point begun);

/// Makes the call in the name of this endpoint and waits for its end, or until the current call is
/// cancelled. Blocks, for the request's timeout at most; the errors of the call stand in the
/// explanation. Members run no function this way that is served for some callers only: they would
/// see this node, and not who asks.
explanation explain_call(const endpoint& rpc, explain_request asked);

} // namespace fly::rpc
