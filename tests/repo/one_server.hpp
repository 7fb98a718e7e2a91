#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/repo/sql_error.hpp"
#include "fly/repo/transaction.hpp"
#include "tests/support/postgres.hpp"

namespace fly::test {

/// Connects as the ordinary role.
inline std::unique_ptr<repo::connection> connect(const postgres_server& server) {
  auto opened = repo::connection::open({.url = server.url()},
                                       std::chrono::steady_clock::now() + std::chrono::seconds{10});
  if (!opened)
    throw std::runtime_error{fly::to_string(opened.error())};
  return std::move(*opened);
}

/// A primary with table t: n below 100, and once only, which is checked at the commit.
struct one_server {
  explicit one_server(std::size_t replicas = 0) : servers(replicas) {
    servers.primary().sql("CREATE TABLE t (n int CONSTRAINT small CHECK (n < 100), "
                          "CONSTRAINT once UNIQUE (n) DEFERRABLE INITIALLY DEFERRED);"
                          "GRANT ALL ON t TO app");
    link = connect(servers.primary());
  }

  std::string count() { return servers.primary().sql("SELECT count(*) FROM t"); }

  /// Runs `work` as a function would be run, and returns what its caller hears.
  template <class F>
  caf::expected<repo::position> run(F work, repo::transaction_options options = {}) {
    try {
      repo::transaction tx{*link, options};
      work(tx);
      return tx.finish();
    } catch (...) {
      return repo::error_of_exception(std::current_exception(), link->report(), true);
    }
  }

  postgres servers;
  std::unique_ptr<repo::connection> link;
};

} // namespace fly::test
