#pragma once

#include "fly/repo/server_error.hpp"

struct pg_conn;   // libpq's PGconn
struct pg_result; // libpq's PGresult

namespace fly::repo {

/// Writes down what a server says on a connection of libpq: all results, also those that libpqxx
/// drops, and warnings. Not safe to share between threads; the one that uses the connection calls.
class server_listener {
public:
  server_listener() = default;
  server_listener(const server_listener&) = delete;
  server_listener& operator=(const server_listener&) = delete;

  /// Begins with a connection that is closed before this object ends. Once.
  void listen(pg_conn* raw);

  server_report& report() noexcept { return report_; }
  const server_report& report() const noexcept { return report_; }

  /// Called by libpq.
  void heard(const pg_result* result);
  void warned(const pg_result* notice);

private:
  void succeeded(const pg_result* result);

  server_report report_;
  void (*next_)(void*, const pg_result*) = nullptr; // whom libpq told of warnings before
};

} // namespace fly::repo
