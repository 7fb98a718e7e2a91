#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fly/repo/server_identity.hpp"

namespace fly::repo {

/// What the local database is.
enum class database_role : std::uint8_t {
  unknown,     ///< Nobody has asked yet.
  unreachable, ///< It does not answer.
  replica,     ///< In recovery, or read-only.
  primary,     ///< Writable, as a fresh connection has confirmed.
};

/// Returns the role's name, "replica".
std::string_view to_string(database_role role) noexcept;

/// What is known of the local database. A value.
struct role_report {
  database_role role = database_role::unknown;
  /// The server; of an unreachable one what was last known.
  server_identity server{};
  /// Why it is unreachable, for people.
  std::string reason{};
};

/// Returns whether `a` and `b` differ in more than how far the data is.
bool differs_in_kind(const role_report& a, const role_report& b) noexcept;

/// Decides from what connections saw whether the local database is the primary: only a fresh
/// connection can say so, because an old one does not see that the database was made read-only;
/// any connection, and a write that was refused, can say the opposite. PURE: takes what was seen
/// and the time as values. Not safe to share between threads.
class role_watcher {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Wants a fresh connection to look every `fresh_interval`.
  explicit role_watcher(std::chrono::milliseconds fresh_interval)
      : fresh_interval_(fresh_interval) {}

  /// Takes what a connection saw that was just opened.
  void saw_fresh(const server_identity& server, time_point now);

  /// Takes what an older connection saw.
  void saw(const server_identity& server);

  /// Takes that the database could not be reached or asked.
  void failed(std::string reason, time_point now);

  /// Takes that the server had no room for a fresh connection (SQLSTATE 53300): it is there, and
  /// what is known of it stays; where nothing is known, as `failed`.
  void had_no_room(std::string reason, time_point now);

  /// Takes that a write was refused (SQLSTATE 25006): no primary until a fresh look says so.
  void refused();

  /// Returns when the next fresh look is due; the beginning of time where at once.
  time_point fresh_due() const noexcept { return fresh_due_; }

  const role_report& report() const noexcept { return report_; }

private:
  bool answered() const noexcept;
  void look_again_after(time_point now);

  std::chrono::milliseconds fresh_interval_;
  time_point fresh_due_{};
  role_report report_;
};

} // namespace fly::repo
