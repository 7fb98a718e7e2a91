#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/repo/kept_statement.hpp"
#include "fly/repo/parameter.hpp"
#include "fly/repo/position.hpp"
#include "fly/repo/pq_link.hpp"
#include "fly/repo/server_error.hpp"
#include "fly/rpc/function.hpp"

namespace pqxx {
class transaction_base;
}

namespace fly::repo {

struct one_statement;

// The ledger is the table fly.ledger: one row for each key, in the transaction of the write that it
// makes happen once (docs/decisions/010).

/// Longest key in bytes.
inline constexpr std::size_t key_bytes_max = 200;

/// A write that is to happen once. A value.
struct keyed_write {
  std::string key;
  std::string function;
  /// Fingerprints of the function's types and of the encoded arguments: what a second copy must
  /// have in common with the first.
  std::uint64_t signature = 0;
  std::uint64_t arguments = 0;
};

/// What the ledger has of a key. A value.
struct ledger_entry {
  keyed_write what;
  /// Whether `outcome` was asked before it came: it is not committed, and never will be.
  bool fenced = false;
  /// The encoded result.
  rpc::bytes result;
  /// A position that covers it, of when it was read.
  position where;
};

/// Returns errc::invalid_argument unless `key` is 1 to 200 bytes of printable ASCII.
caf::error check_key(std::string_view key);

/// Returns a key that nobody else has: 128 random bits.
std::string random_key();

/// Describes a call. `signature` is that of the write.
keyed_write keyed_call(std::string key, std::string function, std::uint64_t signature,
                       std::span<const char> arguments);

/// Returns the statement that claims the key, to ride with BEGIN. It waits for a copy that is
/// running.
kept_statement claim_statement(const keyed_write& what);

/// Returns whether the claim of which `report` tells was granted; otherwise the ledger has an
/// entry.
bool was_claimed(const server_report& report);

/// Returns the statement that writes down the result, to ride with the commit. `timeline` is the
/// server's, or a lower one where it has been promoted since it was asked: then the transaction id
/// is not told with the entry.
kept_statement seal_statement(std::string_view key, std::span<const char> result,
                              std::uint32_t timeline);

/// Returns whether `what`, one of the verbs, can be run by `with_entry`: it gives its rows back,
/// and there is room for the parameters of the entry.
bool takes_entry(const one_statement& what) noexcept;

/// A statement that owns its parts.
struct owned_statement {
  std::string sql;
  std::vector<parameter> parameters;
};

/// Returns a statement that runs `what`, gives back its rows, and writes down key and rows in the
/// ledger, all in one. Where the key is there it fails, and nothing remains. `timeline`: as of
/// `seal_statement`.
owned_statement with_entry(const one_statement& what, const keyed_write& once,
                           std::uint32_t timeline);

/// Reads the entry of `key` inside `tx`, on a primary; nothing where there is none. The position is
/// one of `system`. Errors: errc::malformed_result; errc::function_failed, the function of its
/// first write ended the transaction itself, and there is no result. Throws what libpqxx throws.
caf::expected<std::optional<ledger_entry>>
read_entry(pqxx::transaction_base& tx, const std::string& key, std::uint64_t system = 0);

/// Returns why `wanted` may not have the result of `entry`: errc::key_fenced, errc::key_reused;
/// empty where it may.
caf::error check_entry(const keyed_write& wanted, const ledger_entry& entry);

/// Turns what the database said of a claim into what it means: errc::timeout where another copy was
/// still running at the deadline, errc::sql_failed that names the rights where the table cannot be
/// used.
caf::error claim_error(const caf::error& reason, std::string_view key);

/// Whether the database said that fly's own tables are not there.
bool is_without_tables(const caf::error& reason);

/// Whether the database refused a claim only because another came first.
bool is_lost_race(const caf::error& reason);

/// Whether the database ended it for the sake of another that waited for it.
bool is_deadlock(const caf::error& reason);

/// Deletes entries older than `lifetime`, at most `rows_max`. Returns how many were deleted.
/// Errors: as `pq_link::query`.
caf::expected<std::size_t> delete_expired(pq_link& link, std::chrono::seconds lifetime,
                                          std::size_t rows_max, pq_link::time_point deadline);

} // namespace fly::repo
