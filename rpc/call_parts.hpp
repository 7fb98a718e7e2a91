#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fly::rpc {

/// The part of a call between its arrival and the function's begin, as the serving side names it.
inline constexpr std::string_view queue_part = "queue";
/// The part in which the function runs, but for what the function names itself.
inline constexpr std::string_view function_part = "function";

/// Where the time of one call went on the serving side: parts by name, which do not overlap. Only
/// for a call whose caller wants to know. A value.
class call_parts {
public:
  /// Most parts, and longest name in bytes: what is beyond is not kept.
  static constexpr std::size_t parts_max = 16;
  static constexpr std::size_t name_bytes_max = 32;

  /// Adds to a part, from 0 where it is new. Negative times count as 0.
  void add(std::string_view name, std::chrono::microseconds took);

  /// Returns how long a part took; nothing where the call had none of that name.
  std::optional<std::chrono::microseconds> of(std::string_view name) const;

  /// Returns the sum of all parts.
  std::chrono::microseconds total() const;

  const std::vector<std::pair<std::string, std::chrono::microseconds>>& all() const noexcept {
    return all_;
  }

private:
  std::vector<std::pair<std::string, std::chrono::microseconds>> all_; // size <= parts_max
};

/// Returns the whole microseconds between two moments.
inline std::chrono::microseconds between(std::chrono::steady_clock::time_point from,
                                         std::chrono::steady_clock::time_point to) {
  return std::chrono::floor<std::chrono::microseconds>(to - from);
}

} // namespace fly::rpc
