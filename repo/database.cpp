#include "fly/repo/database.hpp"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include <caf/event_based_actor.hpp>

#include "fly/actors/blocking_guard.hpp"
#include "fly/actors/error.hpp"
#include "fly/actors/supervisor.hpp"
#include "fly/actors/what_of.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database_core.hpp"
#include "fly/repo/ledger.hpp"
#include "fly/repo/level_reader.hpp"
#include "fly/repo/serving.hpp"
#include "fly/repo/wait_at.hpp"
#include "fly/repo/wait_help.hpp"
#include "fly/rpc/current_call.hpp"

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

/// Signs with the node's secret; the node itself says where that cannot be read.
token_signer signer_of(const cluster::node& node) {
  auto secret = node.settings().load_secret();
  auto also = node.settings().load_secret_also();
  return {secret ? *secret : std::string{}, node.settings().app, also ? *also : std::string{}};
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
    : rpc_(rpc), tokens_(signer_of(rpc.node())),
      core_(std::make_shared<database_core>(rpc.node(), settings, name_taken(rpc, settings))),
      reader_(std::make_unique<level_reader>(rpc, core_)) {
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
  auto reason = rpc_.serve_raw(
      name, signature.text,
      {.running_max = options.running_max, .queue_max = options.queue_max, .allow = options.allow},
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

/// A wait that ends at once, with `reason`.
actors::starter<caf::unit_t> refusing(const caf::error& reason) {
  return [reason](actors::completion<caf::unit_t> done) -> actors::expire {
    done(reason);
    return [] {};
  };
}

actors::starter<caf::unit_t> waiting_for(const std::shared_ptr<database_core>& core,
                                         const position& where, std::chrono::milliseconds timeout,
                                         clock::time_point deadline) {
  if (auto wrong = rpc::check_timeout(timeout))
    return refusing(wrong);
  if (core->unusable())
    return refusing(core->unusable());
  return [core, where, deadline](actors::completion<caf::unit_t> done) -> actors::expire {
    if (!core->in_sandbox())
      return core->tracker()->wait_for(where, deadline, std::move(done));
    done(caf::unit);
    return [] {};
  };
}

} // namespace

caf::error database::wait_for(const position& where, std::chrono::milliseconds timeout) const {
  auto deadline = bound_database{*this, {.timeout = timeout}}.deadline();
  wait_help help;
  auto outcome = rpc::ask_cancellable<caf::unit_t>(
      deadline, waiting_for(core_, where, timeout, deadline), [&] { help.run(deadline); });
  return outcome ? caf::error{} : outcome.error();
}

actors::pending<caf::unit_t> database::wait_for(caf::scheduled_actor* self, const position& where,
                                                std::chrono::milliseconds timeout) const {
  auto deadline = bound_database{*this, {.timeout = timeout}}.deadline();
  return {self, deadline, waiting_for(core_, where, timeout, deadline)};
}

namespace {

/// Calls `done`, which must not block, and logs what it throws.
actors::completion<caf::unit_t> telling(const rpc::endpoint& rpc,
                                        std::function<void(caf::error)> done) {
  auto log = rpc.node().settings().log;
  return [done = std::move(done), log](const caf::expected<caf::unit_t>& outcome) {
    actors::no_blocking guard;
    try {
      done(outcome ? caf::error{} : outcome.error());
    } catch (...) {
      log(cluster::log_level::error,
          "who was told of a position threw: " + actors::what_of_thrown());
    }
  };
}

actors::starter<caf::unit_t> waiting_at(const rpc::endpoint& rpc,
                                        const std::shared_ptr<database_core>& core, const place& at,
                                        const position& where, std::chrono::milliseconds timeout,
                                        clock::time_point deadline) {
  if (core->unusable() || core->in_sandbox() || rpc::check_timeout(timeout))
    return waiting_for(core, where, timeout, deadline);
  return [&rpc, core, at, where, deadline](actors::completion<caf::unit_t> done) {
    return wait_at(rpc, core, at, where, deadline, std::move(done));
  };
}

} // namespace

caf::error database::wait_for(const position& where, const place& at,
                              std::chrono::milliseconds timeout) const {
  auto deadline = bound_database{*this, {.timeout = timeout}}.deadline();
  auto outcome = rpc::ask_cancellable<caf::unit_t>(
      deadline, waiting_at(rpc_, core_, at, where, timeout, deadline));
  return outcome ? caf::error{} : outcome.error();
}

actors::pending<caf::unit_t> database::wait_for(caf::scheduled_actor* self, const position& where,
                                                const place& at,
                                                std::chrono::milliseconds timeout) const {
  auto deadline = bound_database{*this, {.timeout = timeout}}.deadline();
  return {self, deadline, waiting_at(rpc_, core_, at, where, timeout, deadline)};
}

void database::wait_for(const position& where, std::chrono::milliseconds timeout,
                        std::function<void(caf::error)> done) const {
  auto deadline = bound_database{*this, {.timeout = timeout}}.deadline();
  let_wait(waiting_for(core_, where, timeout, deadline), deadline, std::move(done));
}

void database::wait_for(const position& where, const place& at, std::chrono::milliseconds timeout,
                        std::function<void(caf::error)> done) const {
  auto deadline = bound_database{*this, {.timeout = timeout}}.deadline();
  let_wait(waiting_at(rpc_, core_, at, where, timeout, deadline), deadline, std::move(done));
}

/// Starts a wait that nobody sits out.
void database::let_wait(const actors::starter<caf::unit_t>& start, clock::time_point deadline,
                        std::function<void(caf::error)> done) const {
  auto core = core_; // `done` may end this object
  auto& system = rpc_.node().system();
  start(telling(rpc_, std::move(done)));
  core->alarm().set(system, deadline);
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

// -- children -------------------------------------------------------------------------------------

actors::child_spec child(database& db) {
  return {.id = builtin_name("repo", db.core_->name()),
          .start = [core = db.core_](caf::event_based_actor* parent) {
            return start_keeper(parent, core);
          }};
}

actors::child_spec tracker_child(database& db) {
  auto result = db.core_->tracker()->child();
  result.id = builtin_name(result.id, db.core_->name());
  return result;
}

} // namespace fly::repo
