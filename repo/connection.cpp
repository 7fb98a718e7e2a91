#include "fly/repo/connection.hpp"

#include <algorithm>
#include <utility>

#include <libpq-fe.h>
#include <sys/socket.h>

namespace fly::repo {

namespace {

/// The server tells each change of it, also the one that a rollback makes.
std::string_view shown_name(const pg_conn* of) {
  const char* name = PQparameterStatus(of, "application_name");
  return name == nullptr ? "" : name;
}

} // namespace

connection::connection(pq_link link, const server_identity& identity, bool pooled)
    : identity_(identity), pooled_(pooled), own_name_(shown_name(link.raw())), keeps_(!pooled),
      canceller_(cancel_handle_of(link.raw())), link_(std::move(link)),
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
  return std::unique_ptr<connection>{new connection{std::move(*link), *identity, options.pooled}};
}

std::string connection::keep(const kept_statement& what) {
  if (!keeps_ || kept_.contains(what.name))
    return {};
  to_keep_.push_back(what.name);
  return prepare_text(what) + "; ";
}

std::string connection::run(const kept_statement& what) const {
  return keeps_ ? execute_text(what) : plain_text(what);
}

std::string connection::show(const std::string& name) const {
  constexpr std::size_t shown_bytes_max = 63; // NAMEDATALEN - 1
  if (pooled_)
    return name.empty() ? "" : "SET LOCAL application_name = " + literal(name);
  auto wanted = std::string_view{name.empty() ? own_name_ : name}.substr(0, shown_bytes_max);
  if (wanted == shown_name(link_.raw()))
    return {};
  return "SET application_name = " + literal(wanted);
}

void connection::took_kept() {
  // In the order in which they were sent; a session keeps them also where the transaction fails.
  auto count = std::count(report().tags.begin(), report().tags.end(), "PREPARE");
  for (std::size_t i = 0; i < to_keep_.size() && static_cast<std::ptrdiff_t>(i) < count; ++i)
    kept_.insert(to_keep_[i]);
  to_keep_.clear();
}

void connection::forget_kept() {
  keeps_ = false; // those that are still there would be in the way of new ones
  kept_.clear();
}

void connection::cut() noexcept {
  ::shutdown(PQsocket(link_.raw()), SHUT_RDWR);
}

} // namespace fly::repo
