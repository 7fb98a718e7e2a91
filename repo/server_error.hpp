#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fly/repo/transaction_fate.hpp"

namespace fly::repo {

/// What a PostgreSQL server said of a statement that failed, field by field, in no locale of ours;
/// empty where it said nothing (PostgreSQL 15, section 55.8, Error and Notice Message Fields).
struct server_error {
  std::string severity{}; ///< "ERROR", "FATAL" or "PANIC", never translated.
  std::string sqlstate{};
  std::string message{};
  std::string detail{};
  std::string hint{};
  std::string schema{};
  std::string table{};
  std::string column{};
  std::string data_type{};
  std::string constraint{};
  std::string context{};
  std::string routine{}; ///< Where in the server's source it was reported; empty from a proxy.
};

/// The name of a column whose value is kept although libpqxx drops all results but the last.
inline constexpr const char* transaction_id_column = "fly_xid";

/// The name of the only column of a statement of our own which says nothing of a transaction.
inline constexpr const char* unlock_column = "fly_unlocked";

/// What a connection has heard since `clear()`: libpqxx keeps neither these fields nor the tags of
/// all but the last statement. Filled by the thread that uses the connection.
struct server_report {
  /// Command tags of the statements that succeeded, in order: "SELECT 1", "COMMIT".
  std::vector<std::string> tags;
  /// The last error.
  std::optional<server_error> last;
  /// The last error but 25P02 (the transaction is aborted): what aborted it.
  std::optional<server_error> cause;
  /// Of the last row that began with a column `transaction_id_column`; empty for NULL and none.
  std::string transaction_id{};
  /// The COPY that the connection is in, "COPY ... FROM STDIN" or "COPY ... TO STDOUT": data is
  /// expected, or there to be read. Empty where it is in none.
  std::string copying{};
  /// The last COPY that was left without that.
  std::string copy_left{};
  /// What became of the transaction that was begun last.
  transaction_fate fate{};

  void clear() { *this = {}; }
};

} // namespace fly::repo
