#pragma once

#include <memory>
#include <string>

#include <caf/error.hpp>

#include "fly/cluster/node.hpp"
#include "fly/repo/database.hpp"

namespace guestbook {

/// The guestbook's HTTP side: GET / (the page), GET and POST /entries, GET /status, /readyz. Every
/// answer but the page is JSON; a failure is {"error", "code", "effect"}. Serves on its own
/// threads. Who has written or read sees it in any region: a cookie carries
/// the session (its name is "guestbook"), "X-Read-At" says who answered and at which level, and
/// "X-Session-Problem" why a session begins anew.
class http_server {
public:
  /// Borrows node and database, which outlive it.
  http_server(const fly::cluster::node& node, const fly::repo::database& db);

  /// Stops. Blocks until the running requests are answered.
  ~http_server();

  /// Listens on "host:port". Errors: errc::invalid_argument, errc::cannot_listen.
  caf::error start(const std::string& address);

  /// Refuses new requests and waits for the running ones; idempotent.
  void stop();

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

} // namespace guestbook
