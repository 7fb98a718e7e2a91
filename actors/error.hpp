#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <caf/error.hpp>
#include <caf/expected.hpp>

namespace fly {

/// What an error tells about the work that was asked for.
enum class effect : std::uint8_t {
  nothing_ran, ///< The function was never started: asking again cannot double anything.
  ran,         ///< The function was run; the error's text says with what result.
  unknown,     ///< It may have run: only a keyed write or a look into the data can tell.
};

/// All that can go wrong, on one page. The numbers cross the wire: never renumber, never reuse.
/// 1 to 63: nothing ran. 64 to 95: it ran. 96 to 127: unknown.
enum class errc : std::uint8_t {
  // -- nothing ran
  // ---------------------------------------------------------------------------------
  /// An option, flag, variable or argument has a value that cannot be used; the text names it.
  invalid_argument = 1,
  /// No member of the region was seen before the deadline; the text lists the regions that are.
  no_node_in_region = 2,
  /// No member with a writable primary was seen before the deadline.
  no_primary = 3,
  /// The named member is not (or no longer) part of the cluster.
  no_such_member = 4,
  /// The member that was asked serves no function, or publishes no actor, of that name.
  unknown_function = 5,
  /// The member serves the name with other argument or result types; the text has both signatures.
  signature_mismatch = 6,
  /// The arguments could not be decoded as the signature says.
  malformed_arguments = 7,
  /// A queue, pool or link is at its bound.
  overloaded = 8,
  /// The member that was asked is not, or no longer, in the primary group; its database refused.
  not_primary = 9,
  /// A blocking call was made on a thread that must not block (CAF's scheduler or I/O thread).
  blocking_refused = 10,
  /// The node, endpoint or database is closing.
  shutting_down = 11,
  /// The deadline had passed before the function was started.
  expired = 12,
  /// The peer refused or failed the handshake: version, cluster name or secret.
  handshake_failed = 13,
  /// No name server answered, or it said that there is no such name.
  dns_failed = 14,
  /// The address cannot be listened on; the text names it.
  cannot_listen = 15,
  /// The database could not be reached, or refused the connection.
  database_unavailable = 16,
  /// A frame, token or message is malformed.
  malformed_frame = 17,
  /// The arguments or the result are larger than `frame_bytes_max`.
  frame_too_large = 18,
  /// The position is of another database system, or of a history that this server does not share.
  foreign_position = 19,
  /// The local database was not there yet when the time ran out (`wait_for`): the data is late, not
  /// lost.
  not_visible = 20,
  /// A name is already taken.
  already_served = 21,
  /// A supervisor gave up: its children ended more often than `restarts_max` allows.
  restarts_exceeded = 22,
  /// The position lies beyond the point where its timeline was left by a promotion: the write that
  /// it is of was committed, and may be lost.
  may_be_lost = 23,
  /// The key's outcome was asked for before this copy of the write came: it is refused for good.
  key_fenced = 24,
  /// The key was used before, with another function or other arguments.
  key_reused = 25,
  /// The member that was asked does not hold the lease of the leader; the text names who does. Or
  /// it lost it while a leader's write ran: deposed, and nothing of the write remains.
  not_leader = 26,
  /// No row has the key that was given (`reload`, `update`, `delete_`, `must`): nothing changed.
  not_found = 27,
  /// The function is not served for this caller; the text says whom it is for.
  not_allowed = 28,

  // -- it ran
  // --------------------------------------------------------------------------------------
  /// The function threw; the text has the exception's type and what(). Of a write nothing remains.
  function_failed = 64,
  /// The database refused a statement; SQLSTATE and the rest are in the details. Nothing remains.
  sql_failed = 65,
  /// It ran, and its result could not be decoded, or is too large to travel.
  malformed_result = 66,

  // -- unknown
  // -------------------------------------------------------------------------------------
  /// The deadline passed while the function may have been running.
  timeout = 96,
  /// The member died or was cut off while the function may have been running.
  member_lost = 97,
  /// The commit was sent and its answer was lost: it may hold or not.
  outcome_unknown = 98,
};

/// Named facts beside an error's text, such as "sqlstate" or "exception"; they cross the wire
/// whole.
using error_details = std::map<std::string, std::string>;

/// A detail of an error that a function has returned though its code speaks of another call, one
/// that the function made: the function itself did run.
inline constexpr const char* returned_detail = "returned";

/// Returns what `code` tells about the work that was asked for.
effect effect_of(errc code) noexcept;

/// Returns what `reason` tells about the work; an error that is not fly's own is `unknown`, and so
/// is one with `returned_detail`.
effect effect_of(const caf::error& reason) noexcept;

/// Returns the enumerator's name, "no_node_in_region"; "errc(200)" for a number of a later version.
std::string to_string(errc code);

/// Returns a name for logs: "nothing ran", "ran" or "unknown".
std::string_view to_string(effect what) noexcept;

/// Makes an error without further text. CAF finds it by argument-dependent lookup, so that
/// `reason == fly::errc::timeout` compares the code alone.
caf::error make_error(errc code);

/// Makes an error with a text that names what was tried, where and with what limit.
caf::error make_error(errc code, std::string text, error_details details = {});

/// Returns the code of `reason`. CAF's own errors map to the nearest of ours (a request timeout is
/// `timeout`, a dead receiver `shutting_down`); an empty error is a mistake of the caller.
errc code_of(const caf::error& reason) noexcept;

/// Returns the text of `reason` alone, without its code; empty where it has none.
std::string text_of(const caf::error& reason);

/// Returns the details of `reason`; empty where it has none.
error_details details_of(const caf::error& reason);

/// Returns "no_node_in_region: nobody in hkg within 2s (nothing ran)", for people and logs.
std::string to_string(const caf::error& reason);

} // namespace fly
