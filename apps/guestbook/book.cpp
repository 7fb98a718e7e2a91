#include "apps/guestbook/book.hpp"

#include <utility>

#include <pqxx/pqxx>

#include "fly/actors/error.hpp"
#include "fly/repo/exec.hpp"
#include "fly/repo/rpc_and_wait.hpp"

namespace guestbook {

namespace {

constexpr std::size_t author_bytes_max = 80;
constexpr std::size_t text_bytes_max = 2000;

constexpr const char* columns =
    "id, author, text, region, to_char(created AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')";

entry to_entry(const pqxx::row& row) {
  return {.id = row[0].as<std::int64_t>(),
          .author = row[1].as<std::string>(),
          .text = row[2].as<std::string>(),
          .region = row[3].as<std::string>(),
          .created = row[4].as<std::string>()};
}

} // namespace

void serve(fly::rpc::endpoint& rpc, fly::repo::database& db) {
  rpc.serve(shout, {.on_io_thread = true}, [](std::string text) { return text + "!"; });
  db.serve(sign, [](pqxx::transaction_base& tx, std::string author, std::string text,
                    std::string region) {
    auto sql = std::string{"INSERT INTO entries (author, text, region) VALUES ($1, $2, $3)"} +
               " RETURNING " + columns;
    return to_entry(fly::repo::exec(tx, sql, author, text, region)[0]);
  });
  db.serve(create_tables, [](pqxx::transaction_base& tx) {
    // CREATE TABLE IF NOT EXISTS by two sessions at once can fail: one after the other.
    tx.exec("SELECT pg_advisory_xact_lock(4370)");
    tx.exec("CREATE TABLE IF NOT EXISTS entries ("
            "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, author text NOT NULL, "
            "text text NOT NULL, region text NOT NULL, "
            "created timestamptz NOT NULL DEFAULT clock_timestamp())");
    return true;
  });
}

caf::expected<std::vector<entry>> newest(const fly::repo::bound_database& db, int count_max) {
  // One statement, and no function of ours: so it can be run elsewhere.
  auto rows = db.query(std::string{"SELECT "} + columns + " FROM entries ORDER BY id DESC LIMIT $1",
                       count_max);
  if (!rows)
    return std::move(rows.error());
  std::vector<entry> result;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    auto text = [&](std::size_t column) { return rows->rows[i][column].value_or(""); };
    auto id = rows->get<std::int64_t>(i, 0);
    if (!id)
      return std::move(id.error());
    result.push_back(
        {.id = *id, .author = text(1), .text = text(2), .region = text(3), .created = text(4)});
  }
  return result;
}

caf::expected<fly::repo::committed<entry>> add(const fly::repo::bound_database& db,
                                               const std::string& region, std::string author,
                                               std::string text) {
  if (author.empty() || author.size() > author_bytes_max)
    return fly::make_error(fly::errc::invalid_argument, "author: 1 to 80 bytes");
  if (text.empty() || text.size() > text_bytes_max)
    return fly::make_error(fly::errc::invalid_argument, "text: 1 to 2,000 bytes");
  return fly::rpc_and_wait(db, sign, std::move(author), std::move(text), region);
}

} // namespace guestbook
