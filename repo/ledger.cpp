#include "fly/repo/ledger.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include <openssl/evp.h>
#include <sys/random.h>

#include "fly/actors/error.hpp"
#include "fly/repo/commit_hold.hpp"
#include "fly/repo/exec.hpp"
#include "fly/repo/hex.hpp"
#include "fly/repo/one_statement.hpp"
#include "fly/repo/position_row.hpp"
#include "fly/repo/row_text.hpp"
#include "fly/repo/write.hpp"
#include "fly/rpc/codec.hpp"

namespace fly::repo {

namespace {

/// Those that `with_entry` adds.
constexpr std::size_t entry_parameters = 5;

/// The table has signed numbers.
std::string signed_text(std::uint64_t number) {
  return std::to_string(static_cast<std::int64_t>(number));
}

std::uint64_t unsigned_number(const pqxx::field& from) {
  return static_cast<std::uint64_t>(std::strtoll(from.c_str(), nullptr, 10));
}

/// Returns the first eight bytes of the SHA-256 of `bytes`.
std::uint64_t digest_of(std::span<const char> bytes) {
  struct deleter {
    void operator()(EVP_MD* algorithm) const noexcept { EVP_MD_free(algorithm); }
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  };
  // Kept, since to look the algorithm up takes longer than the digest of a few arguments.
  static const std::unique_ptr<EVP_MD, deleter> sha256{EVP_MD_fetch(nullptr, "SHA256", nullptr)};
  thread_local const std::unique_ptr<EVP_MD_CTX, deleter> context{EVP_MD_CTX_new()};
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  bool done = sha256 && context && EVP_DigestInit_ex2(context.get(), sha256.get(), nullptr) == 1 &&
              EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1 &&
              EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
  if (!done)
    throw std::bad_alloc{};
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < sizeof result; ++i)
    result = result << 8 | digest[i];
  return result;
}

std::string sqlstate_of(const caf::error& reason) {
  auto details = details_of(reason);
  auto found = details.find("sqlstate");
  return found == details.end() ? "" : found->second;
}

// The columns of a position, of the timeline in which the log is written now, before the entry's
// own. The transaction id counts on its own timeline only.
constexpr auto read_statement = R"(SELECT now.lsn, now.timeline,
CASE WHEN l.timeline = ('x' || now.timeline)::bit(32)::bigint THEN l.xid::text ELSE '' END,
l.fenced, l.function, l.signature, l.arguments, encode(l.result, 'hex')
FROM fly.ledger AS l, (SELECT f.lsn, substr(pg_walfile_name(f.lsn), 1, 8) AS timeline
  FROM (SELECT pg_current_wal_flush_lsn() AS lsn) AS f) AS now WHERE l.key = $1)";

// What the bytes of a result begin with that the database has written itself, from rows; no encoded
// one does: it would have 2^32 - 1 columns.
constexpr auto rows_mark = std::to_array({'\xff', '\xff', '\xff', '\xff', '\x0f'});

/// Returns what the entry of `function` holds, as an encoded result. Of rows the names of their
/// columns are not kept. Nothing where it is malformed.
std::optional<rpc::bytes> read_result(std::string_view function, rpc::bytes stored) {
  std::string_view text{stored.data(), stored.size()};
  std::string_view mark{rows_mark.data(), rows_mark.size()};
  if (!function.starts_with(write_rows_name) || !text.starts_with(mark))
    return stored;
  auto rows = parse_rows(text.substr(mark.size()));
  if (!rows)
    return std::nullopt;
  result whole;
  whole.affected_rows = rows->size();
  whole.rows = std::move(*rows);
  auto encoded = rpc::encode(whole);
  return encoded ? std::optional{std::move(*encoded)} : std::nullopt;
}

} // namespace

caf::error check_key(std::string_view key) {
  bool printable =
      std::all_of(key.begin(), key.end(), [](char each) { return each >= ' ' && each <= '~'; });
  if (!key.empty() && key.size() <= key_bytes_max && printable)
    return {};
  return make_error(errc::invalid_argument,
                    "a key has 1 to " + std::to_string(key_bytes_max) +
                        " bytes of printable ASCII, this one " +
                        (printable ? std::to_string(key.size()) : std::string{"has others"}));
}

std::string random_key() {
  // Not std::random_device, which takes forty times as long where it asks the processor.
  std::array<std::byte, 16> bits{};
  if (::getrandom(bits.data(), bits.size(), 0) != static_cast<ssize_t>(bits.size()))
    throw std::system_error{errno, std::generic_category(), "getrandom"};
  return to_hex(bits);
}

keyed_write keyed_call(std::string key, std::string function, std::uint64_t signature,
                       std::span<const char> arguments) {
  return {std::move(key), std::move(function), signature, digest_of(arguments)};
}

kept_statement claim_statement(const keyed_write& what) {
  return {"fly_claim",
          "text, text, bigint, bigint",
          "INSERT INTO fly.ledger (key, function, signature, arguments) VALUES ($1, $2, $3, $4) "
          "ON CONFLICT (key) DO NOTHING",
          {literal(what.key), literal(what.function), signed_text(what.signature),
           signed_text(what.arguments)}};
}

bool was_claimed(const server_report& report) {
  return std::find(report.tags.begin(), report.tags.end(), "INSERT 0 1") != report.tags.end();
}

kept_statement seal_statement(std::string_view key, std::span<const char> result,
                              std::uint32_t timeline) {
  return {
      "fly_seal",
      "bytea, text, bigint",
      "UPDATE fly.ledger SET result = $1, xid = pg_current_xact_id()::text::bigint, timeline = "
      "$3 WHERE key = $2",
      {R"(E'\\x)" + to_hex(std::as_bytes(result)) + "'", literal(key), std::to_string(timeline)}};
}

bool takes_entry(const one_statement& what) noexcept {
  return what.sql.find(" RETURNING ") != std::string_view::npos &&
         what.parameters.size() + entry_parameters <= parameters_max;
}

owned_statement with_entry(const one_statement& what, const keyed_write& once,
                           std::uint32_t timeline) {
  static const std::string of_rows = "'\\x" + to_hex(std::as_bytes(std::span{rows_mark})) +
                                     "'::bytea || convert_to(coalesce((SELECT ";
  owned_statement result{{}, what.parameters};
  result.parameters.reserve(what.parameters.size() + entry_parameters);
  auto& text = result.sql;
  text.reserve(what.sql.size() + 512);
  auto add = [&](std::string value, std::string_view type_and_more) {
    result.parameters.emplace_back(std::move(value));
    text.append("$").append(std::to_string(result.parameters.size())).append(type_and_more);
  };
  text.append("WITH fly_rows AS (\n").append(what.sql);
  text += "\n), fly_entry AS (INSERT INTO fly.ledger "
          "(key, function, signature, arguments, timeline, result, xid) VALUES (";
  add(once.key, "::text, ");
  add(once.function, "::text, ");
  add(signed_text(once.signature), "::bigint, ");
  add(signed_text(once.arguments), "::bigint, ");
  add(std::to_string(timeline), "::bigint, ");
  // The aggregate is a tenth of what the server does for the entry. Where there are more rows than
  // one all the same, the statement fails.
  text.append(of_rows).append(what.repeats ? "(fly_rows.*)::text"
                                           : "string_agg((fly_rows.*)::text, '')");
  text += " FROM fly_rows), ''), pg_client_encoding()), pg_current_xact_id()::text::bigint)) "
          "SELECT * FROM fly_rows";
  return result;
}

caf::expected<std::optional<ledger_entry>>
read_entry(pqxx::transaction_base& tx, const std::string& key, std::uint64_t system) {
  auto rows = exec(tx, read_statement, key);
  if (rows.empty())
    return std::optional<ledger_entry>{};
  bool fenced = rows[0][3].as<bool>();
  if (!fenced && rows[0][7].is_null())
    return make_error(errc::function_failed,
                      "the first write of " + key +
                          " ended its transaction itself: what it did before that is committed, "
                          "and it has no result",
                      {{"key", key}, {"committed", "yes"}});
  auto where = read_position(system, rows, rows[0][2].c_str());
  auto stored = from_hex(rows[0][7].c_str());
  auto result = stored ? read_result(rows[0][4].c_str(), std::move(*stored)) : std::nullopt;
  if (!where || !result)
    return make_error(errc::malformed_result, "the ledger's entry of " + key + " cannot be read");
  return std::optional{ledger_entry{
      {key, rows[0][4].c_str(), unsigned_number(rows[0][5]), unsigned_number(rows[0][6])},
      fenced,
      std::move(*result),
      *where}};
}

caf::error check_entry(const keyed_write& wanted, const ledger_entry& entry) {
  if (entry.fenced)
    return make_error(errc::key_fenced,
                      "the outcome of " + wanted.key +
                          " was asked for before this copy came: it must not be committed any more",
                      {{"key", wanted.key}});
  const auto& first = entry.what;
  std::string other;
  if (first.function != wanted.function)
    other = "by " + first.function;
  else if (first.signature != wanted.signature)
    other = "with other types";
  else if (first.arguments != wanted.arguments)
    other = "with other arguments";
  if (other.empty())
    return {};
  return make_error(errc::key_reused, "the key " + wanted.key + " was used before, " + other,
                    {{"key", wanted.key}});
}

caf::error claim_error(const caf::error& reason, std::string_view key) {
  auto state = sqlstate_of(reason);
  auto details = details_of(reason);
  details["key"] = key;
  if (state == "57014" || state == "55P03") // statement_timeout, or a lock_timeout of the role's
    return make_error(errc::timeout,
                      "another copy of " + std::string{key} + " was still running at the deadline",
                      std::move(details));
  if (state == "42P01" || state == "42703" || state == "3F000" || state == "42501")
    return make_error(errc::sql_failed,
                      "keyed writes need fly's own tables (docs/rights.md): " + text_of(reason),
                      std::move(details));
  return reason;
}

bool is_without_tables(const caf::error& reason) {
  auto state = sqlstate_of(reason);
  return state == "42P01" || state == "3F000";
}

bool is_deadlock(const caf::error& reason) {
  return sqlstate_of(reason) == "40P01";
}

bool is_lost_race(const caf::error& reason) {
  return sqlstate_of(reason) == "40001";
}

caf::expected<std::size_t> delete_expired(pq_link& link, std::chrono::seconds lifetime,
                                          std::size_t rows_max, pq_link::time_point deadline) {
  auto rows = link.query(std::string{"SELECT "} + commit_hold_column +
                             "; WITH gone AS (DELETE FROM fly.ledger WHERE key IN (SELECT key FROM "
                             "fly.ledger WHERE at < "
                             "clock_timestamp() - interval '" +
                             std::to_string(lifetime.count()) + " s' ORDER BY at LIMIT " +
                             std::to_string(rows_max) +
                             " FOR UPDATE SKIP LOCKED) RETURNING 1) SELECT count(*) FROM gone",
                         deadline);
  if (!rows)
    return std::move(rows.error());
  const auto& field = rows->at(0).at(0);
  return static_cast<std::size_t>(std::strtoull(field.value_or("0").c_str(), nullptr, 10));
}

} // namespace fly::repo
