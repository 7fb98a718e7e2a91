#pragma once

#include <optional>
#include <stdexcept>
#include <utility>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/actors/error.hpp"

namespace fly {

/// An error as an exception: what `must` throws. Thrown by a function or a write that fly runs, it
/// reaches the caller as the error that it holds.
class failure : public std::runtime_error {
public:
  explicit failure(caf::error reason)
      : std::runtime_error(fly::to_string(reason)), reason_(std::move(reason)) {}

  const caf::error& reason() const noexcept { return reason_; }

private:
  caf::error reason_;
};

/// Returns the value of any call, or throws `failure`: `must(db.insert(cup))`.
template <class T>
T must(caf::expected<T> outcome) {
  if (!outcome)
    throw failure{std::move(outcome.error())};
  if constexpr (!std::is_void_v<T>)
    return std::move(*outcome);
}

/// The same where there may be nothing: that is errc::not_found.
template <class T>
T must(caf::expected<std::optional<T>> outcome) {
  auto found = must<std::optional<T>>(std::move(outcome));
  if (!found)
    throw failure{make_error(errc::not_found, "there is no such row")};
  return std::move(*found);
}

/// The same for what has no value.
inline void must(caf::error reason) {
  if (reason)
    throw failure{std::move(reason)};
}

} // namespace fly
