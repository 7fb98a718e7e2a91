#include "fly/rpc/explain.hpp"

#include <algorithm>
#include <memory>

#include "fly/rpc/current_call.hpp"
#include "fly/rpc/endpoint.hpp"

namespace fly::rpc {

namespace {

using clock = std::chrono::steady_clock;
using std::chrono::microseconds;

/// Returns the part that an error belongs to.
std::string_view part_of(const caf::error& reason, const call_trace& trace) {
  if (!trace.handed_at)
    return find_member_part;
  bool in_queue = reason == errc::expired || reason == errc::overloaded;
  if (!trace.answered_at)
    return in_queue ? queue_part : round_trip_part;
  if (in_queue)
    return queue_part;
  // Parts that the function names come before its own; the last of them is where it went on to.
  std::string_view last;
  for (const auto& [name, took] : trace.parts.all())
    if (name != queue_part && (last.empty() || name != function_part))
      last = name;
  return last;
}

} // namespace

void add_part(explanation& to, std::string_view name, microseconds took) {
  to.parts.emplace_back(name, took);
  to.total += took;
}

explanation account_for(const call_trace& trace, clock::time_point begun, clock::time_point ended,
                        const caf::error& reason) {
  explanation result;
  result.member = trace.member;
  if (reason) {
    result.stopped_in = part_of(reason, trace);
    result.code = static_cast<std::uint8_t>(code_of(reason));
    result.text = text_of(reason);
    result.details = details_of(reason);
  }
  add_part(result, find_member_part, between(begun, trace.handed_at.value_or(ended)));
  if (!trace.handed_at)
    return result;
  auto round_trip = between(*trace.handed_at, ended);
  if (!trace.answered_at) {
    if (result.stopped_in == queue_part)
      add_part(result, queue_part, round_trip);
    else
      result.total += round_trip; // nobody has told its parts
    return result;
  }
  if (auto queued = trace.parts.of(queue_part))
    add_part(result, queue_part, *queued);
  add_part(result, wire_part, std::max(round_trip - trace.parts.total(), microseconds{0}));
  if (auto ran = trace.parts.of(function_part))
    add_part(result, function_part, *ran);
  for (const auto& [name, took] : trace.parts.all())
    if (name != queue_part && name != function_part)
      add_part(result, name, took);
  return result;
}

caf::error error_of(const explanation& from) {
  return from.code == 0 ? caf::error{}
                        : make_error(static_cast<errc>(from.code), from.text, from.details);
}

clock::time_point deadline_of(const explain_request& asked, clock::time_point begun) {
  using namespace std::chrono_literals;
  auto result = begun + std::clamp<microseconds>(asked.timeout, 1ms, 24h);
  const auto* outer = current_call();
  return outer == nullptr ? result : std::min(result, outer->deadline);
}

explanation explain_call(const endpoint& rpc, explain_request asked) {
  auto trace = std::make_shared<call_trace>();
  auto begun = clock::now();
  auto deadline = deadline_of(asked, begun);
  target whom{asked.kind, std::move(asked.whom)};
  auto outcome = ask_cancellable<bytes>(deadline, [&](raw_reply reply) {
    return rpc.start(whom, asked.name, signature{std::move(asked.signature)},
                     std::move(asked.arguments), deadline, std::move(reply), trace);
  });
  auto result = account_for(*trace, begun, clock::now(), outcome ? caf::error{} : outcome.error());
  if (outcome)
    result.result = std::move(*outcome);
  return result;
}

} // namespace fly::rpc
