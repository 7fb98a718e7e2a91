#include "fly/repo/key_outcome.hpp"

#include <optional>
#include <utility>

#include <pqxx/except>

#include "fly/actors/error.hpp"
#include "fly/repo/exec.hpp"
#include "fly/repo/ledger.hpp"

namespace fly::repo {

caf::error key_outcome::check(std::string_view name, const rpc::signature& wanted) const {
  if (!committed)
    return make_error(errc::invalid_argument, "nothing was committed with this key");
  if (function != name)
    return make_error(errc::invalid_argument,
                      "the key was used by " + function + ", not by " + std::string{name});
  if (signature != wanted.fingerprint)
    return make_error(errc::invalid_argument,
                      "the key was used by " + function + " with other types");
  return {};
}

namespace {

caf::expected<key_outcome> settle(pqxx::transaction_base& tx, const std::string& key) {
  // What it finds may be deleted before it is read.
  constexpr int attempts_max = 3;
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    if (exec(tx,
             "INSERT INTO fly.ledger (key, fenced) VALUES ($1, true) ON CONFLICT (key) DO NOTHING",
             key)
            .affected_rows() == 1)
      return key_outcome{};
    auto entry = read_entry(tx, key);
    if (!entry)
      return std::move(entry.error());
    if (!*entry)
      continue;
    if ((*entry)->fenced)
      return key_outcome{};
    return key_outcome{true,
                       (*entry)->what.function,
                       (*entry)->what.signature,
                       {(*entry)->result.begin(), (*entry)->result.end()}};
  }
  return make_error(errc::overloaded, "the entry of the key is deleted again and again");
}

} // namespace

caf::expected<key_outcome> settle_key(pqxx::transaction_base& tx, std::string key) {
  if (auto wrong = check_key(key))
    return wrong;
  try {
    return settle(tx, key);
  } catch (const pqxx::sql_error& thrown) {
    if (thrown.sqlstate() != "57014") // statement_timeout
      throw;
    return make_error(errc::timeout, "a copy of " + key + " was still running at the deadline",
                      {{"key", key}});
  }
}

} // namespace fly::repo
