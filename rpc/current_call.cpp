#include "fly/rpc/current_call.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/rpc/call.hpp"

namespace fly::rpc {

namespace {

// What a thread runs is a fact of the thread; handing it through every verb would put a parameter
// into every signature.
thread_local const call_context* current = nullptr;
thread_local const void* holding = nullptr;

constexpr std::chrono::milliseconds timeout_min{1};
constexpr std::chrono::hours timeout_max{24};

} // namespace

const call_context* current_call() noexcept {
  return current;
}

std::chrono::steady_clock::time_point deadline_within(std::chrono::milliseconds timeout) noexcept {
  auto result = std::chrono::steady_clock::now() +
                std::clamp<std::chrono::milliseconds>(timeout, timeout_min, timeout_max);
  return current == nullptr ? result : std::min(result, current->deadline);
}

caf::error check_timeout(std::chrono::milliseconds timeout) {
  if (timeout >= timeout_min && timeout <= timeout_max)
    return {};
  return make_error(errc::invalid_argument,
                    "timeout is " + std::to_string(timeout.count()) + " ms, not 1 ms to a day");
}

call_scope::call_scope(const call_context& context) noexcept
    : before_(std::exchange(current, &context)) {}

call_scope::~call_scope() {
  current = before_;
}

const void* current_holding() noexcept {
  return holding != nullptr || current == nullptr ? holding : current->held;
}

holding_scope::holding_scope(const void* what) noexcept : before_(std::exchange(holding, what)) {}

holding_scope::~holding_scope() {
  holding = before_;
}

} // namespace fly::rpc
