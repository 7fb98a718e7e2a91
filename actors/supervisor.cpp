#include "fly/actors/supervisor.hpp"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include "fly/actors/blocking_guard.hpp"
#include "fly/actors/error.hpp"
#include "fly/actors/thread_locals.hpp"

namespace fly::actors {

using clock = std::chrono::steady_clock;

/// The plan and the handles. The actor alone runs commands; other threads read, or change the plan
/// and wake it.
struct supervisor::core {
  explicit core(supervisor_options options, std::vector<child_spec> children)
      : plan(options, std::random_device{}()) {
    for (auto& spec : children)
      if (auto reason = add(std::move(spec)); reason && !bad_spec)
        bad_spec = reason;
  }

  /// Call with the mutex held, or before sharing.
  caf::error add(child_spec spec) {
    if (spec.id.empty() || !spec.start)
      return make_error(errc::invalid_argument, "a child needs an id and a start function");
    if (!plan.add(spec))
      return make_error(errc::invalid_argument, "child '" + spec.id + "' exists already");
    auto id = spec.id;
    specs.insert_or_assign(std::move(id), std::move(spec));
    return {};
  }

  /// Returns an error where no child is started any more. Call with the mutex held.
  caf::error check_open() const {
    return ended || plan.ending() ? make_error(errc::shutting_down, "the supervisor has ended")
                                  : caf::error{};
  }

  bool is_down(const std::string& id) const {
    return std::none_of(plan.children().begin(), plan.children().end(), [&](const auto& it) {
      return it.id == id && it.state != restart_plan::state::down;
    });
  }

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  restart_plan plan;                         // guarded by mutex
  std::map<std::string, child_spec> specs;   // guarded by mutex
  std::map<std::string, caf::actor> handles; // guarded by mutex; of the children that run
  bool ended = false;                        // guarded by mutex
  caf::error reason;                         // guarded by mutex
  caf::error bad_spec;                       // written before sharing
};

namespace {

using core = supervisor::core;
using core_ptr = std::shared_ptr<core>;
using command = restart_plan::command;

bool is_abnormal(const caf::error& reason) {
  return reason && reason != caf::exit_reason::normal && reason != caf::exit_reason::user_shutdown;
}

void start_child(caf::event_based_actor* self, core& shared, const std::string& id) {
  std::function<caf::actor(caf::event_based_actor*)> start;
  {
    std::lock_guard guard{shared.mutex};
    start = shared.specs.at(id).start;
  }
  caf::actor child;
  try {
    child = start(self);
  } catch (...) {
    // A start that throws is a start that failed: the plan counts it and tries again.
  }
  std::lock_guard guard{shared.mutex};
  if (!child) {
    shared.plan.start_failed(id, clock::now());
    return;
  }
  self->monitor(child);
  shared.handles[id] = std::move(child);
  shared.plan.started(id);
}

void run_command(caf::event_based_actor* self, core& shared, const command& what) {
  if (what.what == command::kind::start) {
    start_child(self, shared, what.id);
    return;
  }
  std::lock_guard guard{shared.mutex};
  auto it = shared.handles.find(what.id);
  if (it == shared.handles.end())
    return;
  if (what.what == command::kind::abandon) {
    self->demonitor(it->second);
    shared.handles.erase(it);
    return;
  }
  self->send_exit(it->second, what.what == command::kind::kill ? caf::exit_reason::kill
                                                               : caf::exit_reason::user_shutdown);
}

/// Runs all commands that are due, then asks to be woken for the next one, or ends.
void drive(caf::event_based_actor* self, const core_ptr& shared) {
  for (;;) {
    std::optional<command> what;
    {
      std::lock_guard guard{shared->mutex};
      what = shared->plan.next(clock::now());
    }
    if (!what)
      break;
    run_command(self, *shared, *what);
  }
  shared->changed.notify_all();
  std::lock_guard guard{shared->mutex};
  if (shared->plan.finished()) {
    self->quit(shared->plan.gave_up()
                   ? make_error(errc::restarts_exceeded, "a supervisor's children ended too often")
                   : caf::make_error(caf::exit_reason::user_shutdown));
    return;
  }
  if (auto due = shared->plan.wake_at()) {
    auto delay = std::max(*due - clock::now(), clock::duration{std::chrono::milliseconds{1}});
    self->delayed_send(self, std::chrono::ceil<std::chrono::milliseconds>(delay),
                       caf::tick_atom::value);
  }
}

void on_child_down(core& shared, const caf::down_msg& down) {
  std::lock_guard guard{shared.mutex};
  for (auto it = shared.handles.begin(); it != shared.handles.end(); ++it) {
    if (it->second.address() != down.source)
      continue;
    auto id = it->first;
    shared.handles.erase(it);
    shared.plan.ended(id, is_abnormal(down.reason), clock::now());
    if (!shared.plan.knows(id))
      shared.specs.erase(id); // a temporary child
    return;
  }
}

/// However the supervisor's actor ended: nobody waits for ever, and no child is left behind.
void on_end(core& shared, const caf::error& reason) {
  std::map<std::string, caf::actor> orphans;
  {
    std::lock_guard guard{shared.mutex};
    shared.ended = true;
    shared.reason = reason;
    orphans.swap(shared.handles);
  }
  for (const auto& [id, child] : orphans)
    caf::anon_send_exit(child, caf::exit_reason::kill);
  shared.changed.notify_all();
}

caf::behavior supervise(caf::event_based_actor* self, const core_ptr& shared) {
  self->attach_functor([shared](const caf::error& reason) { on_end(*shared, reason); });
  self->set_down_handler([self, shared](const caf::down_msg& down) {
    on_child_down(*shared, down);
    drive(self, shared);
  });
  self->set_exit_handler([self, shared](const caf::exit_msg&) {
    {
      std::lock_guard guard{shared->mutex};
      shared->plan.end();
    }
    drive(self, shared);
  });
  self->send(self, caf::tick_atom::value);
  return {
      [self, shared](caf::tick_atom) { drive(self, shared); },
  };
}

} // namespace

supervisor::supervisor(caf::actor_system& system, supervisor_options options,
                       std::vector<child_spec> children)
    : core_(std::make_shared<core>(options, std::move(children))) {
  borrowed_logger meanwhile;
  handle_ = system.spawn(supervise, core_);
}

supervisor::~supervisor() {
  stop();
}

void supervisor::stop() {
  caf::anon_send_exit(handle_, caf::exit_reason::user_shutdown);
  std::unique_lock lock{core_->mutex};
  core_->changed.wait(lock, [this] { return core_->ended; });
}

bool supervisor::wait_started(std::chrono::milliseconds timeout) const {
  std::unique_lock lock{core_->mutex};
  auto all_run = [this] {
    for (const auto& it : core_->plan.children())
      if (it.state != restart_plan::state::running)
        return false;
    return true;
  };
  core_->changed.wait_for(lock, timeout, [&] { return core_->ended || all_run(); });
  return !core_->ended && !core_->bad_spec && all_run();
}

caf::error supervisor::start_child(child_spec spec) {
  std::lock_guard guard{core_->mutex};
  if (auto reason = core_->check_open())
    return reason;
  if (auto reason = core_->add(std::move(spec)))
    return reason;
  caf::anon_send(handle_, caf::tick_atom::value);
  return {};
}

caf::error supervisor::terminate_child(std::string_view id) {
  if (auto refused = check_may_block())
    return refused;
  std::string name{id};
  std::unique_lock lock{core_->mutex};
  if (!core_->plan.stop(name))
    return make_error(errc::invalid_argument, "no child '" + name + "'");
  caf::anon_send(handle_, caf::tick_atom::value);
  core_->changed.wait(lock, [&] { return core_->ended || core_->is_down(name); });
  return {};
}

caf::error supervisor::restart_child(std::string_view id) {
  std::lock_guard guard{core_->mutex};
  if (auto reason = core_->check_open())
    return reason;
  if (!core_->plan.start(std::string{id}))
    return make_error(errc::invalid_argument, "no child '" + std::string{id} + "' that is down");
  caf::anon_send(handle_, caf::tick_atom::value);
  return {};
}

caf::error supervisor::delete_child(std::string_view id) {
  std::lock_guard guard{core_->mutex};
  if (!core_->plan.remove(std::string{id}))
    return make_error(errc::invalid_argument, "no child '" + std::string{id} + "' that is down");
  core_->specs.erase(std::string{id});
  return {};
}

std::vector<child_info> supervisor::which_children() const {
  std::lock_guard guard{core_->mutex};
  std::vector<child_info> result;
  for (const auto& it : core_->plan.children()) {
    auto handle = core_->handles.find(it.id);
    result.push_back({.id = it.id,
                      .handle = handle == core_->handles.end() ? caf::actor{} : handle->second,
                      .restart = it.restart,
                      .restarts = it.restarts});
  }
  return result;
}

child_counts supervisor::count_children() const {
  std::lock_guard guard{core_->mutex};
  return {.specs = core_->plan.children().size(), .active = core_->handles.size()};
}

bool supervisor::running() const {
  std::lock_guard guard{core_->mutex};
  return !core_->ended;
}

caf::error supervisor::reason() const {
  std::lock_guard guard{core_->mutex};
  return core_->ended ? core_->reason : core_->bad_spec;
}

child_spec nested_supervisor(std::string id, supervisor_options options,
                             std::vector<child_spec> children) {
  std::chrono::milliseconds all{1000};
  for (const auto& child : children)
    all += child.shutdown + restart_plan::kill_grace;
  auto start = [options, children = std::move(children)](caf::event_based_actor* parent) {
    return parent->spawn(supervise, std::make_shared<core>(options, children));
  };
  return {.id = std::move(id), .start = std::move(start), .shutdown = all};
}

} // namespace fly::actors
