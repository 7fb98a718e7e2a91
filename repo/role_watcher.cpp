#include "fly/repo/role_watcher.hpp"

#include <algorithm>
#include <utility>

namespace fly::repo {

std::string_view to_string(database_role role) noexcept {
  switch (role) {
  case database_role::unknown:
    break;
  case database_role::unreachable:
    return "unreachable";
  case database_role::replica:
    return "replica";
  case database_role::primary:
    return "primary";
  }
  return "unknown";
}

bool differs_in_kind(const role_report& a, const role_report& b) noexcept {
  return a.role != b.role || a.server.system != b.server.system ||
         a.server.timeline != b.server.timeline || a.reason != b.reason;
}

/// Whether the server has answered the last time that it was asked.
bool role_watcher::answered() const noexcept {
  return report_.role == database_role::primary || report_.role == database_role::replica;
}

void role_watcher::saw_fresh(const server_identity& server, time_point now) {
  report_ = {.role = server.writable() ? database_role::primary : database_role::replica,
             .server = server,
             .reason = {}};
  fresh_due_ = now + fresh_interval_;
}

void role_watcher::saw(const server_identity& server) {
  const auto& before = report_.server;
  bool same = answered() && same_server(server, before) && server.timeline == before.timeline &&
              server.in_recovery == before.in_recovery;
  if (!same || (server.read_only && !before.read_only))
    fresh_due_ = {};
  // An old session may still say "writable" where new ones cannot write: it takes away, never
  // gives.
  auto seen = server;
  seen.read_only = server.read_only || (same && before.read_only);
  bool primary = same && report_.role == database_role::primary && seen.writable();
  auto otherwise = seen.writable() && !answered() ? database_role::unknown : database_role::replica;
  report_ = {.role = primary ? database_role::primary : otherwise, .server = seen, .reason = {}};
}

void role_watcher::failed(std::string reason, time_point now) {
  report_.role = database_role::unreachable;
  report_.reason = std::move(reason);
  look_again_after(now);
}

void role_watcher::had_no_room(std::string reason, time_point now) {
  if (!answered())
    return failed(std::move(reason), now);
  look_again_after(now);
}

void role_watcher::look_again_after(time_point now) {
  fresh_due_ = now + std::min(fresh_interval_, std::chrono::milliseconds{1000});
}

void role_watcher::refused() {
  if (report_.role == database_role::primary)
    report_.role = database_role::replica;
  fresh_due_ = {};
}

} // namespace fly::repo
