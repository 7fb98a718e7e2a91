#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <caf/error.hpp>
#include <caf/expected.hpp>

namespace fly::repo {

/// How fresh a read is at least. Each is at least as fresh as those before it, for what it speaks
/// of; the whole text is docs/reading.md. A value.
///
///     db.with({.level = fly::repo::level::bounded(2s)}).get<order>(17)
class level {
public:
  enum class kind : std::uint8_t {
    eventual, ///< Whatever the database has.
    session,  ///< At least all that the session wrote or read, anywhere.
    bounded,  ///< At least all that the primary had `lag` before the call began.
    strong,   ///< At least all that the primary had when the call began.
  };

  static const level eventual;
  static const level session; ///< Needs a session in the call's options.
  static const level strong;

  /// Longest `lag` that can be asked for; the shortest is 1 ms.
  static constexpr std::chrono::milliseconds lag_max{3'600'000};

  /// Measured by the clock of the node that reads, which asks the primary how far it is.
  static constexpr level bounded(std::chrono::milliseconds lag) { return {kind::bounded, lag}; }

  constexpr enum kind kind() const noexcept { return kind_; }

  /// Returns the lag that was given to `bounded`, 0 of the others.
  constexpr std::chrono::milliseconds lag() const noexcept { return lag_; }

  /// Returns errc::invalid_argument, naming it, where it cannot be had: a lag out of range, a kind
  /// that is none.
  caf::error check() const;

  friend constexpr bool operator==(const level&, const level&) = default;

private:
  constexpr level(enum kind kind, std::chrono::milliseconds lag) : kind_(kind), lag_(lag) {}

  enum kind kind_;
  std::chrono::milliseconds lag_;
};

inline constexpr level level::eventual{kind::eventual, std::chrono::milliseconds{0}};
inline constexpr level level::session{kind::session, std::chrono::milliseconds{0}};
inline constexpr level level::strong{kind::strong, std::chrono::milliseconds{0}};

/// Returns "eventual", "session", "bounded(2000ms)" or "strong".
std::string to_string(const level& which);

/// Reads what `to_string` writes, and a lag in seconds: "bounded(2s)".
/// Errors: errc::invalid_argument, naming the text.
caf::expected<level> parse_level(std::string_view text);

/// What becomes of a read where the local database is not as far as its level wants in time, or
/// does not answer. A single statement (the verbs, `query`) can be run by another member; a lambda
/// and a stream cannot travel and wait, whatever is said here.
enum class otherwise : std::uint8_t {
  wait,    ///< Waits for the local database until the deadline.
  replica, ///< The nearest member whose database is there already, the primary's last.
  primary, ///< A member of the primary group.
};

/// Returns the name, "replica".
std::string to_string(otherwise what);

/// Reads what `to_string` writes. Errors: errc::invalid_argument, naming the text.
caf::expected<otherwise> parse_otherwise(std::string_view text);

} // namespace fly::repo
