#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace fly::cluster {

/// Puts bytes straight into one connection.
class line {
public:
  virtual ~line() = default;

  /// Takes bytes from the front of `bytes` and then `more`, and returns how many; fewer than all
  /// where the connection takes no more at the moment, or has failed. Never waits. Any thread, one
  /// at a time.
  virtual std::size_t send(std::span<const char> bytes, std::span<const char> more) noexcept = 0;
};

/// Returns a line into the connected TCP socket `descriptor`, by a descriptor of its own that is
/// closed with the line; null where the process has none left.
std::unique_ptr<line> line_into(int descriptor);

} // namespace fly::cluster
