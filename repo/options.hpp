#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/options.hpp"

namespace boost::program_options {
class options_description;
}

namespace fly::repo {

class connection_pool;

/// Which database a node has, and how much of it is used. A value.
struct options {
  /// The local database, "postgresql://user:password@host:5432/name". DATABASE_URL; --database-url.
  /// Fly's rules are applied to it with the node's region, see database_url.hpp.
  std::string database_url;
  /// Connections for functions and reads, 1 to 1,000; the tracker has one more, the lease another
  /// on nodes of the primary group, and every few seconds a short one looks at the role.
  /// FLY_CONNECTIONS_MAX; --connections-max.
  std::size_t connections_max = 8;
  /// Longest time to open a connection, 10 ms to 60 s. --connect-timeout.
  std::chrono::milliseconds connect_timeout{3000};
  /// Waits for the local database that may be under way, 1 and more.
  std::size_t waiters_max = 100'000;
  /// Time between two looks at the database's role, 10 ms to 60 s. --role-interval.
  std::chrono::milliseconds role_interval{1000};
  /// Time between two looks with a fresh connection, which alone can tell that it is writable,
  /// 10 ms to 60 s.
  std::chrono::milliseconds fresh_interval{3000};
  /// Whether a node of the primary creates fly's own tables (schema "fly") and brings them up to
  /// date, where its role may. FLY_SCHEMA=off; --no-schema.
  bool manage_schema = true;
  /// How long fly remembers the key of a write that happens once, 1 minute to 365 days: longer than
  /// anybody tries again. FLY_KEY_LIFETIME, --key-lifetime, in seconds.
  std::chrono::seconds key_lifetime{24 * 3600};
  /// How long the lease of the leader is good for, 500 ms to 60 s: nobody leads for that long after
  /// the leader died without a word. It is renewed three times meanwhile. FLY_LEASE; --lease; in
  /// milliseconds.
  std::chrono::milliseconds lease{3000};
  /// What stands between the node and its database.
  enum class pooler_mode : std::uint8_t {
    none,        ///< Nothing: a connection is a session.
    transaction, ///< A pooler that gives each transaction a session (pgbouncer).
  };
  /// FLY_POOLER=transaction; --pooler=transaction. What it changes: docs/operations.md.
  pooler_mode pooler = pooler_mode::none;
  /// Tells several databases of one endpoint apart: empty for one of them, 1 to 40 of a-z, 0-9, _
  /// and - for each other one, the same on all nodes. The nameless one says who is primary and who
  /// leads; the others follow it: their primaries are on the same nodes, as databases of one server
  /// are.
  std::string name{};
  /// The transaction of a test, in which all work of the database is done and never committed: made
  /// by `sandbox`. Null: none.
  std::shared_ptr<connection_pool> sandbox{};
  /// Makes the database one that this node only reads, as a replica would be, though it is
  /// writable: for development, where two nodes share one server. FLY_READ_ONLY=on; --read-only.
  bool read_only = false;
  /// Shown in pg_stat_activity, unless the URL names another: this, the machine, and the write that
  /// runs. Empty: the cluster's `app`, or "fly".
  std::string application_name;

  /// Returns the defaults changed by the environment: DATABASE_URL, FLY_CONNECTIONS_MAX,
  /// FLY_SCHEMA, FLY_KEY_LIFETIME, FLY_LEASE, FLY_POOLER, FLY_READ_ONLY. A value that cannot be
  /// used is kept and named by `validate()`.
  static options from_env(const cluster::options& where,
                          const cluster::environment& lookup = cluster::process_environment);

  /// Adds the flags to `flags`, bound to the fields of this object, which must outlive the parsing.
  void describe(boost::program_options::options_description& flags);

  /// Returns errc::invalid_argument naming the first option that cannot be used, never with the
  /// password.
  caf::error validate() const;

private:
  void take_pooler(const std::string& text, const std::string& said);

  std::vector<std::string> unusable_; // "FLY_CONNECTIONS_MAX=banana", kept for validate()
};

} // namespace fly::repo
