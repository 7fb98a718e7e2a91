#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>

namespace fly::cluster {

/// Decides which warnings are said of those that may come again and again: each text once a minute,
/// and `texts_max` of them in one. A pure value; takes the time.
class warning_limit {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Most texts in `quiet`.
  static constexpr std::size_t texts_max = 256;
  /// How long a text is not said again.
  static constexpr std::chrono::seconds quiet{60};

  /// Returns whether `text` is to be said, and then notes that it was.
  bool take(const std::string& text, time_point now);

private:
  std::map<std::string, time_point> said_; // by text; size <= texts_max
};

} // namespace fly::cluster
