#include "apps/flycluster/doctor.hpp"

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fly/actors/error.hpp"
#include "fly/repo/database_url.hpp"
#include "fly/repo/pq_link.hpp"
#include "fly/repo/schema.hpp"
#include "fly/repo/server_identity.hpp"

namespace fly::apps {

namespace {

using clock = std::chrono::steady_clock;
using state = enum finding::state;

constexpr auto lag_max = std::chrono::seconds{10};
/// The tracker's, the one that looks at the role, and one to spare.
constexpr int connections_beside_the_pool = 3;

constexpr auto rights_question = R"(
SELECT current_user, rolsuper, pg_has_role(current_user, 'pg_read_all_stats', 'MEMBER'),
  has_schema_privilege(current_user, 'public', 'CREATE'),
  current_setting('server_version_num')::int, current_setting('server_version'),
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
FROM pg_roles WHERE rolname = current_user)";

findings describe_server(const repo::server_identity& server) {
  using namespace std::chrono;
  auto timeline = ", timeline " + std::to_string(server.timeline);
  if (server.writable())
    return {{"database", state::ok, "a primary, writable" + timeline}};
  if (!server.in_recovery)
    return {{"database", state::warning,
             "not a replica, and read-only (default_transaction_read_only)" + timeline,
             "nobody can write here until that is off; a fenced old primary looks like this"}};
  if (server.lag > lag_max)
    return {{"database", state::warning,
             "a replica, " + std::to_string(duration_cast<seconds>(server.lag).count()) +
                 " s behind" + timeline,
             "is its connection to the primary up (pg_stat_wal_receiver), is replay paused?"}};
  return {{"database", state::ok, "a replica" + timeline}};
}

findings describe_rights(const std::vector<std::optional<std::string>>& row,
                         const repo::server_identity& server, std::size_t connections_max) {
  constexpr int version_min = 130'000; // pg_visible_in_snapshot, pg_current_xact_id_if_assigned
  auto text = [&](std::size_t i) { return row[i].value_or(""); };
  auto number = [&](std::size_t i) { return std::atoi(text(i).c_str()); };
  findings all;
  if (number(4) < version_min)
    all.push_back({"database", state::problem, "PostgreSQL " + text(5) + " is too old",
                   "fly needs PostgreSQL 13 or later"});
  else
    all.push_back({"database", state::ok, "PostgreSQL " + text(5)});
  if (text(1) == "t")
    all.push_back({"rights", state::warning, "role " + text(0) + " is a superuser",
                   "an ordinary role is enough for fly: give the service one of its own"});
  else
    all.push_back({"rights", state::ok,
                   "role " + text(0) +
                       ": an ordinary one, which is enough to read, write and wait" +
                       (text(3) == "t" ? "; may create tables in schema public"
                                       : "; may not create tables in schema public")});
  if (text(2) == "t")
    all.push_back({"rights", state::ok, "sees statistics (pg_read_all_stats)"});
  else if (server.in_recovery)
    all.push_back({"rights", state::ok,
                   "sees no statistics: after a promotion the new timeline is seen some seconds "
                   "later here; GRANT pg_read_all_stats TO " +
                       text(0) + " makes it exact"});
  auto needed = static_cast<int>(connections_max) + connections_beside_the_pool;
  if (needed > number(6))
    all.push_back({"database", state::warning,
                   "a node takes up to " + std::to_string(needed) + " connections, the server " +
                       std::to_string(number(6)) + " for all",
                   "lower FLY_CONNECTIONS_MAX or raise max_connections"});
  return all;
}

constexpr auto use_question = R"(
SELECT has_table_privilege('fly.ledger', 'INSERT') AND has_table_privilege('fly.ledger', 'UPDATE'),
  has_function_privilege('fly.hold_epoch(bigint, bigint)', 'EXECUTE'))";

/// Says whether this role may use the tables of the version that is known here.
findings describe_use(repo::pq_link& link, const std::string& what, clock::time_point deadline) {
  auto rows = link.query(use_question, deadline);
  if (rows && rows->size() == 1 &&
      rows->front() == std::vector<std::optional<std::string>>{"t", "t"})
    return {{"schema", state::ok, what + ", and this role may use them"}};
  return {{"schema", state::warning,
           what + ", but this role may not use all of them: no keys of "
                  "writes, or no leader's writes",
           "flycluster schema --grant ROLE, by who owns them"}};
}

findings describe_schema(repo::pq_link& link, clock::time_point deadline) {
  auto version = repo::read_schema_version(link, deadline);
  if (version && *version >= repo::schema_version)
    return describe_use(link, "fly's own tables are of version " + std::to_string(*version),
                        deadline);
  if (version && *version > 0)
    return {{"schema", state::warning,
             "fly's own tables are of version " + std::to_string(*version) + ", this fly knows " +
                 std::to_string(repo::schema_version),
             "flycluster schema brings them up to date"}};
  return {{"schema", state::warning,
           "fly's own tables are not there, or not for this role: no keys of writes, no leader's "
           "writes, no history of promotions",
           "flycluster schema makes them, --grant ROLE lets a role use them"}};
}

} // namespace

findings check_database(const patient& who) {
  if (who.repo.database_url.empty())
    return {{"database", state::ok, "none is given here (DATABASE_URL, --database-url)"}};
  if (auto reason = who.repo.validate())
    return {{"database", state::problem, text_of(reason), "correct what is named"}};
  auto url =
      repo::database_url_for(who.repo.database_url, who.cluster.region, who.cluster.primary_region);
  if (!url)
    return {{"database", state::problem, text_of(url.error()), "correct DATABASE_URL"}};
  auto deadline = clock::now() + who.timeout;
  auto link = repo::pq_link::open({.url = *url, .application_name = "flycluster"}, deadline);
  if (!link)
    return {{"database", state::problem,
             repo::redact_database_url(*url) + ": " + text_of(link.error()),
             "does the server run there, and may this role log in (pg_hba.conf, password)?"}};
  auto server = repo::identify(*link, deadline);
  auto rights = server ? link->query(rights_question, deadline)
                       : caf::expected<repo::link_rows>{server.error()};
  if (!rights || rights->size() != 1 || rights->front().size() != 7)
    return {{"database", state::problem,
             "does not tell what it is: " + (rights ? "" : text_of(rights.error())),
             "fly asks pg_control_system and pg_control_checkpoint, which any role may unless "
             "somebody revoked it"}};
  auto all = describe_server(*server);
  auto more = describe_rights(rights->front(), *server, who.repo.connections_max);
  all.insert(all.end(), more.begin(), more.end());
  auto tables = describe_schema(*link, deadline);
  all.insert(all.end(), tables.begin(), tables.end());
  return all;
}

} // namespace fly::apps
