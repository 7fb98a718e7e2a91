#include "fly/repo/database.hpp"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include <caf/event_based_actor.hpp>

#include "fly/actors/blocking_guard.hpp"
#include "fly/actors/error.hpp"
#include "fly/actors/supervisor.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database_core.hpp"
#include "fly/repo/ledger.hpp"
#include "fly/repo/serving.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct database::own_actors {
  explicit own_actors(caf::actor_system& system, const std::shared_ptr<database_core>& core)
      : tree(system, {}, {keeper(core), core->tracker()->standby()}) {}

  static actors::child_spec keeper(const std::shared_ptr<database_core>& core) {
    return {.id = "repo", .start = [core](caf::event_based_actor* parent) {
              return parent->spawn(stand_by, core->seat(), [core](caf::event_based_actor* self) {
                return start_keeper(self, core);
              });
            }};
  }

  std::mutex mutex;
  std::vector<std::string> served;   // guarded by mutex; but for fly's own
  std::vector<std::string> builtins; // written by the constructor of database
  actors::supervisor tree;
};

namespace {

std::string secret_of(const cluster::node& node) {
  auto secret = node.settings().load_secret();
  return secret ? *secret : std::string{}; // the node itself says that it cannot be read
}

} // namespace

namespace {

/// Two databases of one name would get each other's statements.
caf::error name_taken(const rpc::endpoint& rpc, const options& settings) {
  if (!rpc.served().contains(builtin_name(execute_statement.name, settings.name)))
    return {};
  return make_error(errc::already_served,
                    "this endpoint has a database " +
                        (settings.name.empty() ? "without a name" : "named " + settings.name) +
                        " already: give each a name of its own (options::name)");
}

} // namespace

database::database(rpc::endpoint& rpc, options settings)
    : rpc_(rpc), tokens_(secret_of(rpc.node()), rpc.node().settings().app),
      core_(std::make_shared<database_core>(rpc.node(), settings, name_taken(rpc, settings))) {
  if (core_->unusable())
    return;
  own_ = std::make_unique<own_actors>(rpc.node().system(), core_);
  own_->builtins = serve_builtins(rpc, core_);
}

database::~database() {
  if (own_) {
    for (const auto& name : own_->served)
      rpc_.unserve(name);
    for (auto name : own_->builtins)
      rpc_.unserve_builtin(name);
  }
  core_->close();
  own_.reset();
}

caf::error database::usable() const {
  return core_->unusable();
}

bound_database database::with(call_options options) const {
  return {*this, std::move(options)};
}

bound_database database::once() const {
  return bound_database{*this}.once();
}

caf::error database::serve_raw(std::string name, const rpc::signature& signature,
                               serve_options options, raw_write_handler handler) {
  if (core_->unusable())
    return core_->unusable();
  if (options.on_leader && !core_->name().empty())
    return make_error(errc::invalid_argument,
                      "the database " + core_->name() +
                          " has no leader: only the one without a name has");
  std::lock_guard guard{own_->mutex};
  auto reason = rpc_.serve_raw(name, signature.text, {},
                               in_transaction(core_, name, signature, options, std::move(handler)));
  if (!reason)
    own_->served.push_back(std::move(name));
  return reason;
}

void database::unserve(std::string_view name) {
  if (!own_)
    return;
  std::lock_guard guard{own_->mutex};
  auto it = std::find(own_->served.begin(), own_->served.end(), name);
  if (it == own_->served.end())
    return;
  own_->served.erase(it);
  rpc_.unserve(name);
}

namespace {

actors::starter<caf::unit_t> waiting_for(const std::shared_ptr<database_core>& core,
                                         const position& where, clock::time_point deadline) {
  return [core, where, deadline](actors::completion<caf::unit_t> done) -> actors::expire {
    if (!core->unusable() && !core->in_sandbox())
      return core->tracker()->wait_for(where, deadline, std::move(done));
    if (core->unusable())
      done(core->unusable());
    else
      done(caf::unit);
    return [] {};
  };
}

clock::time_point deadline_in(std::chrono::milliseconds timeout) {
  return clock::now() + std::clamp<std::chrono::milliseconds>(timeout, 1ms, 24h);
}

} // namespace

caf::error database::wait_for(const position& where, std::chrono::milliseconds timeout) const {
  auto deadline = deadline_in(timeout);
  auto outcome = actors::ask<caf::unit_t>(deadline, waiting_for(core_, where, deadline));
  return outcome ? caf::error{} : outcome.error();
}

actors::pending<caf::unit_t> database::wait_for(caf::scheduled_actor* self, const position& where,
                                                std::chrono::milliseconds timeout) const {
  auto deadline = deadline_in(timeout);
  return {self, deadline, waiting_for(core_, where, deadline)};
}

std::string database::builtin(std::string_view f) const {
  return builtin_name(f, core_->name());
}

role_report database::role() const {
  return core_->roles().report();
}

database_counts database::counts() const {
  auto pool = core_->pool().counts();
  return {.connections_open = pool.open,
          .connections_idle = pool.idle,
          .queued = pool.waiting,
          .waiters = core_->tracker()->waiting()};
}

// -- bound_database -------------------------------------------------------------------------------

clock::time_point bound_database::deadline() const noexcept {
  return deadline_in(options_.timeout);
}

caf::error
bound_database::read_raw(const std::function<caf::error(pqxx::transaction_base&)>& body) const {
  if (auto refused = actors::check_may_block())
    return refused;
  if (db_->core_->unusable())
    return db_->core_->unusable();
  return db_->core_->runner().run_read(deadline(), body);
}

namespace {

/// The starter refers to what it was made from: it is run within the same expression.
actors::starter<raw_committed> writing(write_call how, std::string_view name,
                                       const rpc::signature& wanted,
                                       caf::expected<rpc::bytes> arguments) {
  return [how = std::move(how), name, &wanted, arguments = std::move(arguments)](
             actors::completion<raw_committed> done) mutable -> actors::expire {
    if (arguments)
      return start_write(how, name, wanted, std::move(*arguments), std::move(done));
    done(arguments.error());
    return [] {};
  };
}

caf::expected<rpc::bytes> checked(const caf::error& unusable, const std::string& key,
                                  caf::expected<rpc::bytes> arguments) {
  if (unusable)
    return unusable;
  if (!key.empty())
    if (auto wrong = check_key(key))
      return wrong;
  return arguments;
}

} // namespace

bound_database bound_database::once() const {
  auto options = options_;
  options.once = true;
  return {*db_, std::move(options)};
}

std::string bound_database::next_key() const {
  return options_.key.empty() && options_.once ? random_key() : options_.key;
}

caf::expected<raw_committed> bound_database::ask_raw(bool waits, std::string_view name,
                                                     const rpc::signature& wanted,
                                                     const std::string& key,
                                                     caf::expected<rpc::bytes> arguments) const {
  const auto& core = *db_->core_;
  write_call how{.rpc = &db_->rpc_,
                 .tracker = waits && options_.await ? core.tracker() : nullptr,
                 .deadline = deadline(),
                 .shared = core.in_sandbox(),
                 .key = key};
  auto sent = checked(core.unusable(), key, std::move(arguments));
  return actors::ask<raw_committed>(how.deadline, writing(how, name, wanted, std::move(sent)));
}

actors::pending<raw_committed> bound_database::ask_raw(caf::scheduled_actor* self, bool waits,
                                                       std::string_view name,
                                                       const rpc::signature& wanted,
                                                       const std::string& key,
                                                       caf::expected<rpc::bytes> arguments) const {
  const auto& core = *db_->core_;
  write_call how{.rpc = &db_->rpc_,
                 .tracker = waits && options_.await ? core.tracker() : nullptr,
                 .deadline = deadline(),
                 .shared = core.in_sandbox(),
                 .key = key};
  auto sent = checked(core.unusable(), key, std::move(arguments));
  return {self, how.deadline, writing(how, name, wanted, std::move(sent))};
}

// -- children -------------------------------------------------------------------------------------

actors::child_spec child(database& db) {
  return {.id = "repo", .start = [core = db.core_](caf::event_based_actor* parent) {
            return start_keeper(parent, core);
          }};
}

actors::child_spec tracker_child(database& db) {
  return db.core_->tracker()->child();
}

} // namespace fly::repo
