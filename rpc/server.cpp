#include "fly/rpc/server.hpp"

#include <utility>
#include <vector>

#include "fly/actors/copy_bytes.hpp"
#include "fly/actors/error.hpp"
#include "fly/cluster/channel.hpp"
#include "fly/rpc/guarded_call.hpp"
#include "fly/rpc/message.hpp"
#include "fly/rpc/server_job.hpp"

namespace fly::rpc {

namespace {

using clock = std::chrono::steady_clock;

/// What the function names itself does not count as the function's.
caf::expected<bytes> call_timed(const request& wanted, const served_function& function,
                                std::span<const char> arguments) {
  auto begun = clock::now();
  auto before = wanted.parts->total();
  auto outcome = call_guarded(wanted.name, function, wanted.context, arguments);
  auto named = wanted.parts->total() - before;
  wanted.parts->add(function_part, between(begun, clock::now()) - named);
  return outcome;
}

caf::error closing() {
  return make_error(errc::shutting_down, "the member that was asked is closing");
}

} // namespace

caf::error too_late(const std::string& name) {
  return make_error(errc::expired, "the deadline passed before " + name + " was started");
}

server::server(actors::worker_pool& workers, std::function<bool()> is_primary)
    : workers_(workers), is_primary_(std::move(is_primary)) {}

caf::error server::add(std::string name, served_function function) {
  if (function.options.running_max > 0)
    function.gate =
        std::make_shared<function_gate>(function.options.running_max, function.options.queue_max);
  std::lock_guard guard{mutex_};
  return registry_.add(std::move(name), std::move(function));
}

bool server::remove(std::string_view name) {
  std::lock_guard guard{mutex_};
  return registry_.remove(name);
}

std::map<std::string, std::string> server::signatures() const {
  std::lock_guard guard{mutex_};
  return registry_.signatures();
}

rpc::offer server::offer() const {
  std::lock_guard guard{mutex_};
  return registry_.offer();
}

caf::expected<server::function_ptr> server::check(std::string_view name, std::uint64_t fingerprint,
                                                  bool primary_only) const {
  if (closed_)
    return closing();
  if (primary_only && !is_primary_())
    return make_error(errc::not_primary, "the member that was asked is not in the primary group");
  std::lock_guard guard{mutex_};
  return registry_.find(name, fingerprint);
}

std::shared_ptr<ticket> server::run(request wanted, std::shared_ptr<const bytes> arguments) {
  auto todo = std::make_shared<job>(*this, std::move(wanted));
  auto& ours = todo->wanted;
  ours.context.own = true;
  if (ours.trace)
    ours.context.trace = *ours.trace;
  if (ours.parts)
    ours.arrived = clock::now();
  ours.respond =
      observers_.of_server(ours.context.caller.region, ours.name, std::move(ours.respond));
  todo->given = std::move(arguments);
  if (auto function = check(ours.name, ours.fingerprint, ours.primary_only)) {
    todo->function = std::move(*function);
    queue(todo);
  } else {
    ours.respond(function.error());
  }
  return {todo, &todo->permit};
}

void server::queue(const std::shared_ptr<job>& todo) {
  if (todo->function->later)
    return begin_later(todo);
  ++serving_;
  auto work = [this, todo] {
    bool ran = false;
    if (closed_ && todo->permit.cancel())
      todo->wanted.respond(closing());
    else if (todo->permit.begin())
      ran = execute(todo->wanted, *todo->function, todo->arguments());
    --serving_;
    return ran;
  };
  auto refuse = [this, todo](const caf::error& reason) {
    --serving_;
    bool of_pool = reason == errc::overloaded && details_of(reason).empty();
    todo->wanted.respond(of_pool ? no_place(text_of(reason), retry_after_default) : reason);
  };
  if (auto gate = todo->function->gate)
    gate->enter(workers_, {std::move(work), std::move(refuse), todo.get()});
  else if (auto refused = workers_.submit(std::move(work), todo.get()))
    refuse(refused);
}

/// Frees the place in the queue of a call that was dropped, and with it what the call holds.
void server::drop(const job& dropped) {
  if (!dropped.function || dropped.function->later)
    return; // it was in no queue
  const auto& gate = dropped.function->gate;
  if (gate ? gate->withdraw(workers_, &dropped) : workers_.withdraw(&dropped))
    --serving_;
}

/// Returns whether the function ran.
bool server::execute(const request& wanted, const served_function& function,
                     std::span<const char> arguments) const {
  if (wanted.parts)
    wanted.parts->add(queue_part, between(wanted.arrived, clock::now()));
  if (wanted.context.deadline <= clock::now()) {
    wanted.respond(too_late(wanted.name));
    return false;
  }
  wanted.respond(wanted.parts ? call_timed(wanted, function, arguments)
                              : call_guarded(wanted.name, function, wanted.context, arguments));
  return true;
}

/// Returns what answers a call of another member; `permit` is that of a queued one, else null.
raw_reply server::responder(const std::shared_ptr<cluster::channel>& from,
                            const call_message& message, const request& wanted,
                            const ticket* permit) {
  raw_reply result = [](const caf::expected<bytes>&) {};
  if (!message.cast)
    result = [this, permit,
              to = return_address{from, message.id, wanted.name, wanted.context.deadline,
                                  wanted.parts}](caf::expected<bytes> outcome) {
      if (permit != nullptr)
        forget({to.link.get(), to.id}, permit);
      answers_.send(to, std::move(outcome));
    };
  return observers_.of_server(from->peer().region, wanted.name, std::move(result));
}

/// Forgets a call, and not a later one with its number.
void server::forget(const call_key& key, const ticket* permit) {
  std::lock_guard guard{mutex_};
  auto found = remote_.find(key);
  if (found != remote_.end() && found->second.get() == permit)
    remote_.erase(found);
}

/// Runs a call of which nobody wants to know more than the answer, on the I/O thread.
void server::run_at_once(const std::shared_ptr<cluster::channel>& from, const call_message& message,
                         const served_function& function) {
  return_address to{from, message.id, std::string{message.name}, clock::now() + message.budget};
  if (message.budget <= message.budget.zero())
    return answers_.send(to, too_late(to.name));
  call_context context{to.deadline, from->peer()};
  context.certificate = from->certificate();
  answers_.send(to, call_guarded(to.name, function, context, characters(message.arguments)));
}

caf::error server::on_call(const std::shared_ptr<cluster::channel>& from,
                           std::span<const std::byte> payload) {
  auto message = parse_call(payload);
  if (!message)
    return message.error();
  auto function = check(message->name, message->fingerprint, message->primary_only);
  bool at_once = function && (*function)->options.on_io_thread;
  bool plain = !message->timed && !message->cast && message->trace.empty();
  if (at_once && plain && !observers_.is_set()) {
    run_at_once(from, *message, **function);
    return {};
  }
  request wanted{std::string{message->name},
                 message->fingerprint,
                 message->primary_only,
                 {clock::now() + message->budget, from->peer()},
                 nullptr};
  wanted.keeps = from;
  wanted.context.certificate = from->certificate();
  if (!message->trace.empty()) {
    wanted.trace = std::make_shared<const std::string>(message->trace);
    wanted.context.trace = *wanted.trace;
  }
  if (message->timed) {
    wanted.parts = std::make_shared<call_parts>();
    wanted.context.parts = wanted.parts.get();
    wanted.arrived = clock::now();
  }
  if (function && !at_once) {
    queue_remote(std::move(wanted), std::move(*function), *message, from);
    return {};
  }
  wanted.respond = responder(from, *message, wanted, nullptr);
  if (function)
    execute(wanted, **function, characters(message->arguments));
  else
    wanted.respond(function.error());
  return {};
}

/// Queues a call of another member; one that waits for the answer can cancel it.
void server::queue_remote(request&& wanted, function_ptr function, const call_message& message,
                          const std::shared_ptr<cluster::channel>& from) {
  auto todo = std::make_shared<job>(*this, std::move(wanted));
  todo->wanted.respond = responder(from, message, todo->wanted, &todo->permit);
  todo->function = std::move(function);
  std::shared_ptr<ticket> before;
  if (!message.cast) {
    std::lock_guard guard{mutex_};
    before = std::exchange(remote_[{from.get(), message.id}], {todo, &todo->permit});
  }
  if (before) // an earlier attempt, which nobody waits for any more
    before->cancel();
  auto arguments = characters(message.arguments);
  actors::append_bytes(todo->copied, arguments.data(), arguments.size());
  queue(todo);
}

caf::error server::on_cancel(const std::shared_ptr<cluster::channel>& from,
                             std::span<const std::byte> payload) {
  auto message = parse_cancel(payload);
  if (!message)
    return message.error();
  std::shared_ptr<ticket> permit;
  {
    std::lock_guard guard{mutex_};
    if (auto found = remote_.find({from.get(), message->id}); found != remote_.end())
      permit = std::move(remote_.extract(found).mapped());
  }
  if (permit)
    permit->cancel();
  return {};
}

void server::on_link_down(const std::shared_ptr<cluster::channel>& which) {
  std::vector<std::shared_ptr<ticket>> permits;
  {
    std::lock_guard guard{mutex_};
    auto first = remote_.lower_bound({which.get(), 0});
    auto last = first;
    for (; last != remote_.end() && last->first.first == which.get(); ++last)
      permits.push_back(std::move(last->second));
    remote_.erase(first, last);
  }
  for (const auto& each : permits)
    each->cancel();
}

void server::close() {
  closed_ = true;
}

void server::clear() {
  std::lock_guard guard{mutex_};
  registry_ = {};
}

} // namespace fly::rpc
