#include "fly/rpc/call_observer.hpp"

#include <utility>

namespace fly::rpc {

using clock = std::chrono::steady_clock;

namespace {

/// A call ends for its caller, whatever who hears of it does.
void tell(const call_observer& hears, const call_report& ended) noexcept {
  try {
    hears(ended);
  } catch (...) {
  }
}

} // namespace

void observer_slot::set(call_observer now) {
  bool hears = static_cast<bool>(now);
  auto next = hears ? std::make_shared<const call_observer>(std::move(now)) : nullptr;
  {
    std::lock_guard guard{mutex_};
    observer_.swap(next);
  }
  set_.store(hears, std::memory_order_release);
}

std::shared_ptr<const call_observer> observer_slot::observer() const {
  std::lock_guard guard{mutex_};
  return observer_;
}

raw_reply observer_slot::tell_caller(const target& whom, std::string_view name,
                                     raw_reply reply) const {
  auto hears = observer();
  if (!hears)
    return reply;
  return [hears = std::move(hears), whom, name = std::string{name}, begun = clock::now(),
          reply = std::move(reply)](caf::expected<bytes> outcome) {
    const caf::error none;
    tell(*hears, {.side = call_report::side::caller,
                  .name = name,
                  .whom = &whom,
                  .caller_region = {},
                  .reason = outcome ? none : outcome.error(),
                  .took = clock::now() - begun});
    reply(std::move(outcome));
  };
}

raw_reply observer_slot::tell_server(const std::string& caller_region, std::string_view name,
                                     raw_reply reply) const {
  auto hears = observer();
  if (!hears)
    return reply;
  return [hears = std::move(hears), region = caller_region, name = std::string{name},
          begun = clock::now(), reply = std::move(reply)](caf::expected<bytes> outcome) {
    const caf::error none;
    tell(*hears, {.side = call_report::side::server,
                  .name = name,
                  .whom = nullptr,
                  .caller_region = region,
                  .reason = outcome ? none : outcome.error(),
                  .took = clock::now() - begun});
    reply(std::move(outcome));
  };
}

} // namespace fly::rpc
