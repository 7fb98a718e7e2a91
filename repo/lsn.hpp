#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fly::repo {

/// A position in the write-ahead log, in bytes since the log began; 0 is before every record.
/// Ordered as the log is. Prints as PostgreSQL does, two hexadecimal halves: "16/B374D848"
/// (PostgreSQL 15, section 8.20, pg_lsn). Only positions of one server's timeline can be compared.
class lsn {
public:
  constexpr lsn() = default;
  constexpr explicit lsn(std::uint64_t bytes) : bytes_(bytes) {}

  /// Reads "16/B374D848": two halves of 1 to 8 hexadecimal digits, nothing around them. Returns
  /// nothing where `text` is anything else.
  static std::optional<lsn> parse(std::string_view text);

  /// Returns the distance from the beginning of the log, in bytes.
  constexpr std::uint64_t bytes() const noexcept { return bytes_; }

  friend constexpr auto operator<=>(lsn, lsn) = default;

private:
  std::uint64_t bytes_ = 0;
};

/// Returns "16/B374D848": upper case, no leading zeros.
std::string to_string(lsn where);

} // namespace fly::repo
