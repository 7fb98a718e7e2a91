#include "fly/repo/connection.hpp"

#include <utility>

#include <libpq-fe.h>
#include <sys/socket.h>

namespace fly::repo {

connection::connection(pq_link link, const server_identity& identity)
    : identity_(identity), canceller_(cancel_handle_of(link.raw())), link_(std::move(link)),
      pqxx_(compat::adopt(link_.raw())) {
  link_.disown();
}

caf::expected<std::unique_ptr<connection>> connection::open(const link_options& options,
                                                            pq_link::time_point deadline) {
  auto link = pq_link::open(options, deadline);
  if (!link)
    return std::move(link.error());
  auto identity = identify(*link, deadline);
  if (!identity)
    return std::move(identity.error());
  return std::unique_ptr<connection>{new connection{std::move(*link), *identity}};
}

void connection::cut() noexcept {
  ::shutdown(PQsocket(link_.raw()), SHUT_RDWR);
}

} // namespace fly::repo
