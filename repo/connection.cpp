#include "fly/repo/connection.hpp"

#include <algorithm>
#include <utility>

#include <libpq-fe.h>
#include <sys/socket.h>

namespace fly::repo {

namespace {

/// How many statements of the verbs a session keeps: each has its plan in the server's memory.
constexpr std::size_t names_max = 100;

std::vector<std::string> reset_of(const link_options& options) {
  if (options.pooled)
    return {};
  std::vector<std::string> result{"SET SESSION AUTHORIZATION DEFAULT", "RESET ALL"};
  if (options.read_only)
    result.emplace_back("SET default_transaction_read_only = on");
  return result;
}

std::string text_of(const std::vector<std::string>& statements) {
  std::string result;
  for (const auto& it : statements)
    result += it + "; ";
  return result;
}

} // namespace

connection::connection(pq_link link, const server_identity& identity, const link_options& options)
    : identity_(identity), reset_(reset_of(options)), reset_text_(text_of(reset_)),
      keeps_(!options.pooled), canceller_(cancel_handle_of(link.raw())), link_(std::move(link)),
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
  return std::unique_ptr<connection>{new connection{std::move(*link), *identity, options}};
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

std::string connection::name_for(const std::string& sql) {
  if (auto found = names_.find(sql); found != names_.end())
    return found->second;
  if (names_.size() >= names_max)
    return {};
  auto name = "fly_verb_" + std::to_string(names_.size() + 1);
  return names_.emplace(sql, std::move(name)).first->second;
}

void connection::cut() noexcept {
  ::shutdown(PQsocket(link_.raw()), SHUT_RDWR);
}

} // namespace fly::repo
