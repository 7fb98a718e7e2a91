#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <caf/expected.hpp>

#include "fly/repo/pq_link.hpp"
#include "fly/repo/server_identity.hpp"
#include "fly/repo/waiters.hpp"

namespace fly::repo {

/// Longest times of a `replay_watcher`.
struct replay_watcher_options {
  link_options link{};
  std::chrono::milliseconds connect_timeout{3000};
  std::chrono::milliseconds query_timeout{2000};
};

/// Asks the local database how far it is, on a connection of its own: short queries that hold no
/// snapshot, because one that waits inside the server can stall the replay it waits for. Not safe
/// to share between threads.
class replay_watcher {
public:
  /// What one question saw.
  struct look {
    server_identity server;
    progress seen;
    bool fresh = false; ///< The connection was just opened.
  };

  explicit replay_watcher(replay_watcher_options options) : options_(std::move(options)) {}

  /// Asks how far the server is and which of `xids` are visible there, in one round trip. `whole`
  /// asks for its identity anew, in the same; without it only what cannot change under a connection
  /// is taken as known. Connects where needed, and once more where the old connection broke. Blocks
  /// for the connect timeout and two query timeouts at most.
  /// Errors: errc::database_unavailable; errc::sql_failed where the role may not ask.
  caf::expected<look> ask(const std::vector<std::uint64_t>& xids, bool whole);

  /// Asks for `xids` where a connection is there, and waits for the answer until `until`. Returns
  /// nothing where it does not come by then, or the server is not what it was: `ask` finds out.
  std::optional<look> ask_briefly(const std::vector<std::uint64_t>& xids,
                                  pq_link::time_point until);

  /// Closes the connection; the next question opens another one.
  void close() { link_.reset(); }

private:
  struct answer;

  caf::expected<look> ask_on_link(const std::vector<std::uint64_t>& xids, bool whole);
  static std::optional<answer> read_answer(const link_rows& reached, const link_rows& told);
  bool is_new_history(const answer& told) const;
  look note(const answer& told);
  caf::error connect();
  caf::error identify_again();
  bool identified(const server_identity& identity);
  caf::error read_history();
  caf::error note_switch(std::uint32_t parent);

  replay_watcher_options options_;
  std::optional<pq_link> link_;
  server_identity server_;                               // of link_
  std::pair<std::uint32_t, timeline_start> seen_switch_; // of server_; 0 for none
  timeline_history history_;                             // of server_
  bool has_history_ = false;                             // its table of timelines can be read
  bool fresh_ = false; // nothing was asked on link_ but its identity
  bool begun_ = false; // a question is on its way on link_ whose answer nobody has taken
};

} // namespace fly::repo
