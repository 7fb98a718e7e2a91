#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fly::faults {

using milliseconds = std::chrono::milliseconds;

/// What one fault did.
struct row {
  explicit row(std::string name) : fault(std::move(name)) {}

  std::string fault;
  std::optional<milliseconds> notice{}; ///< Until the others knew.
  std::optional<milliseconds> heal{};   ///< From its end (of a death: from it) until all was well.
  std::string note{};
  std::vector<std::string> broken{}; ///< Expectations that did not hold.

  /// Notes `what` where it does not hold. Returns `holds`.
  bool expect(bool holds, std::string what) {
    if (!holds)
      broken.push_back(std::move(what));
    return holds;
  }
  /// Expects `took` to be known and at most `limit`.
  void expect_within(const std::optional<milliseconds>& took, milliseconds limit,
                     const std::string& what);
};

/// Prints the rows as a table, and what did not hold below it.
void print(const std::vector<row>& rows);

/// Prints one row as soon as it is known.
void print_progress(const row& each);

/// Writes {"rows": [...], "seed": n} to `file`.
void write_json(const std::vector<row>& rows, unsigned seed, const std::string& file);

} // namespace fly::faults
