#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pqxx/connection>
#include <pqxx/dbtransaction>
#include <pqxx/result>
#include <pqxx/version>
#if PQXX_VERSION_MAJOR < 7
#include <pqxx/connectionpolicy>
#endif

namespace fly::repo::compat {

// All that differs between libpqxx 6.4 (Debian 12) and 7.10 (Debian 13): how a connection of libpq
// becomes one of libpqxx, that 6 must not reconnect by itself, how a transaction of our own begins
// and ends, and how parameters are passed whose number is known at run time only.

#if PQXX_VERSION_MAJOR >= 7

/// What transactions run on.
using any_connection = pqxx::connection;

/// Takes over `raw`, which is closed with it.
inline std::unique_ptr<pqxx::connection> adopt(pqxx::internal::pq::PGconn* raw) {
  return std::make_unique<pqxx::connection>(pqxx::connection::seize_raw_connection(raw));
}

using adopted_connection = pqxx::connection;

/// In libpqxx 6 a virtual base that the last derived class names.
struct named {
  explicit named(const char*) {}
};

/// A transaction whose BEGIN is ours; do_commit is left to the derived class, which also
/// initializes `named`.
class base_transaction : public virtual named, public pqxx::dbtransaction {
protected:
  base_transaction(any_connection& connection, const std::string& begin)
      : named{"fly"}, pqxx::dbtransaction{connection, "fly"} {
    register_transaction();
    begun_ = direct_exec(begin);
  }

  ~base_transaction() { close(); }

  /// What the last statement of BEGIN's round trip gave.
  const pqxx::result& begun() const noexcept { return begun_; }

  /// Throws where the statement that has just run cannot be run so. Called by `exec_with`.
  virtual void check_statement() const = 0;

  /// What is sent instead of ROLLBACK.
  void abort_with(const std::string& text) {
    set_rollback_cmd(std::make_shared<std::string>(text));
  }

private:
  friend pqxx::result exec_with(pqxx::transaction_base& tx, const std::string& sql,
                                const std::vector<std::optional<std::string>>& parameters);

  pqxx::result begun_;
};

#else

/// What transactions run on.
using any_connection = pqxx::connection_base;

/// A connection of libpqxx around one of libpq that is already up. It never reconnects.
class adopted_connection : private pqxx::connectionpolicy, public pqxx::connection_base {
public:
  explicit adopted_connection(handle raw)
      : pqxx::connectionpolicy{{}}, pqxx::connection_base{static_cast<connectionpolicy&>(*this)},
        raw_(raw) {
    init();
    never_reconnect();
  }

  ~adopted_connection() { close(); }

private:
  handle do_startconnect(handle given) override { return given == nullptr ? raw_ : given; }

  void never_reconnect() {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    inhibit_reactivation(true);
#pragma GCC diagnostic pop
  }

  handle raw_;
};

/// Takes over `raw`, which is closed with it.
inline std::unique_ptr<adopted_connection> adopt(pqxx::internal::pq::PGconn* raw) {
  return std::make_unique<adopted_connection>(raw);
}

/// A virtual base that the last derived class names.
using named = pqxx::internal::namedclass;

/// A transaction whose BEGIN is ours; do_commit is left to the derived class, which also
/// initializes `named`.
class base_transaction : public pqxx::dbtransaction {
protected:
  base_transaction(any_connection& connection, std::string begin)
      : named{"fly"}, pqxx::dbtransaction{connection}, begin_(std::move(begin)) {
    Begin();
  }

  ~base_transaction() override { End(); }

  /// Throws where the statement that has just run cannot be run so. Called by `exec_with`.
  virtual void check_statement() const = 0;

  /// What is sent instead of ROLLBACK.
  void abort_with(const std::string& text) { abort_ = text; }

  /// What the last statement of BEGIN's round trip gave.
  const pqxx::result& begun() const noexcept { return begun_; }

private:
  friend pqxx::result exec_with(pqxx::transaction_base& tx, const std::string& sql,
                                const std::vector<std::optional<std::string>>& parameters);

  void do_begin() override { begun_ = direct_exec(begin_.c_str()); }

  void do_abort() override { direct_exec(abort_.c_str()); }

  std::string begin_;
  std::string abort_ = "ROLLBACK";
  pqxx::result begun_;
};

#endif

/// Runs a statement with parameters. Throws what libpqxx throws, and as `must_be_texts`; in one of
/// ours also as `base_transaction::check_statement`.
pqxx::result exec_with(pqxx::transaction_base& tx, const std::string& sql,
                       const std::vector<std::optional<std::string>>& parameters);

} // namespace fly::repo::compat
