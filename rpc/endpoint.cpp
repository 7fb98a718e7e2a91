#include "fly/rpc/endpoint.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <caf/actor.hpp>
#include <caf/event_based_actor.hpp>

#include "fly/actors/error.hpp"
#include "fly/actors/supervisor.hpp"
#include "fly/cluster/node.hpp"
#include "fly/rpc/answer_reader.hpp"
#include "fly/rpc/current_call.hpp"
#include "fly/rpc/endpoint_core.hpp"
#include "fly/rpc/explain.hpp"
#include "fly/rpc/traceparent.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::rpc {

namespace {

using clock = std::chrono::steady_clock;

actors::child_spec actor_spec(std::weak_ptr<endpoint_core> core, bool standby) {
  return {.id = "rpc",
          .start = [core = std::move(core), standby](caf::event_based_actor* parent) -> caf::actor {
            if (auto alive = core.lock())
              return parent->spawn(rpc_actor, std::move(alive), standby);
            return {};
          }};
}

} // namespace

endpoint::endpoint(cluster::node& node, endpoint_options options)
    : core_(std::make_shared<endpoint_core>(node, options)) {
  core_->open();
  core_->serve(std::string{explain.name},
               {signature_of<explanation(explain_request)>(),
                {},
                make_raw_handler<explanation, explain_request>(
                    [this](explain_request asked) { return explain_call(*this, std::move(asked)); },
                    errors_of::fly)});
  own_ = std::make_unique<actors::supervisor>(
      node.system(), actors::supervisor_options{},
      std::vector<actors::child_spec>{actor_spec(core_, true)});
}

endpoint::~endpoint() {
  core_->close();
}

bound_endpoint endpoint::with(call_options options) const noexcept {
  return {*this, std::move(options)};
}

caf::error endpoint::serve_raw(std::string name, std::string signature, serve_options options,
                               raw_handler handler) {
  if (name.starts_with("fly."))
    return make_error(errc::invalid_argument, "names that begin with fly. belong to fly: " + name);
  return core_->serve(std::move(name),
                      {rpc::signature{std::move(signature)}, options, std::move(handler)});
}

caf::error endpoint::serve_builtin(std::string name, std::string signature, raw_handler handler) {
  return core_->serve(std::move(name),
                      {rpc::signature{std::move(signature)}, {}, std::move(handler)});
}

caf::error endpoint::serve_builtin(std::string name, std::string signature, raw_starter later) {
  return core_->serve(std::move(name), {.signature = rpc::signature{std::move(signature)},
                                        .options = {},
                                        .handler = nullptr,
                                        .later = std::move(later)});
}

void endpoint::unserve_builtin(std::string_view name) {
  core_->unserve(name);
}

void endpoint::unserve(std::string_view name) {
  if (!name.starts_with("fly."))
    core_->unserve(name);
}

std::map<std::string, std::string> endpoint::served() const {
  return core_->server().signatures();
}

call_end endpoint::start(const target& whom, std::string_view name, const signature& wanted,
                         bytes arguments, clock::time_point deadline, raw_reply reply,
                         std::shared_ptr<call_trace> trace, call_traits how,
                         answer_reader* own) const {
  if (const auto* outer = current_call(); outer != nullptr && how.trace.empty())
    how.trace = outer->trace;
  if (!how.cast)
    how.held = current_holding();
  outgoing_call seen{whom, name, arguments, how, reply};
  if (auto refused = show(core_->options().on_call, seen)) {
    reply(std::move(refused));
    return {core_, 0};
  }
  if (!is_traceparent(how.trace))
    how.trace.clear();
  call begun;
  begun.whom = whom;
  begun.name = name;
  begun.wanted = wanted;
  begun.arguments = std::make_shared<const bytes>(std::move(arguments));
  begun.begun = clock::now();
  begun.deadline = std::min(deadline, begun.begun + std::chrono::hours{24});
  begun.reply = core_->observers().of_caller(whom, name, std::move(reply));
  begun.trace = std::move(trace);
  begun.traits = std::move(how);
  return {core_, core_->start(std::move(begun), own)};
}

void endpoint::observe(call_observer observer) {
  core_->observers().set(std::move(observer));
}

caf::error bound_endpoint::check() const {
  if (auto wrong = check_timeout(options_.timeout))
    return wrong;
  auto each = options_.attempt_max;
  if (each.count() >= 0 && each <= std::chrono::hours{24})
    return {};
  return make_error(errc::invalid_argument,
                    "attempt_max is " + std::to_string(each.count()) + " ms, not 0 ms to a day");
}

clock::time_point bound_endpoint::deadline() const noexcept {
  return deadline_within(options_.timeout);
}

actors::child_spec child(endpoint& rpc) {
  return actor_spec(rpc.core_, false);
}

namespace {

/// The starter refers to what it was made from: it is run within the same expression.
auto starter_of(const bound_endpoint& rpc, const target& whom, std::string_view name,
                const signature& wanted, caf::expected<bytes> arguments, clock::time_point deadline,
                answer_reader* own = nullptr) {
  return [&rpc, &whom, name, &wanted, deadline, own,
          arguments = std::move(arguments)](raw_reply reply) mutable -> call_end {
    if (auto wrong = rpc.check())
      arguments = std::move(wrong);
    if (arguments)
      return rpc.rpc().start(whom, name, wanted, std::move(*arguments), deadline, std::move(reply),
                             {}, rpc.traits(), own);
    reply(arguments.error());
    return {};
  };
}

} // namespace

caf::error cast_raw(const bound_endpoint& rpc, const target& whom, std::string_view name,
                    const signature& wanted, caf::expected<bytes> arguments) {
  if (!arguments)
    return arguments.error();
  if (auto wrong = rpc.check())
    return wrong;
  auto how = rpc.traits();
  how.cast = true;
  auto slot = std::make_shared<actors::answer_slot<bytes>>();
  rpc.rpc().start(
      whom, name, wanted, std::move(*arguments), rpc.deadline(),
      [slot](caf::expected<bytes> outcome) { slot->fill(std::move(outcome)); }, {}, std::move(how));
  if (!slot->wait_until(clock::now()))
    return {}; // it waits for a member
  auto outcome = slot->take();
  return outcome ? caf::error{} : outcome.error();
}

caf::expected<bytes> ask_raw(const bound_endpoint& rpc, const target& whom, std::string_view name,
                             const signature& wanted, caf::expected<bytes> arguments,
                             result_sink sink) {
  auto deadline = rpc.deadline();
  answer_reader own{std::move(sink)};
  return ask_cancellable<bytes>(
      deadline, starter_of(rpc, whom, name, wanted, std::move(arguments), deadline, &own),
      [&] { rpc.rpc().read_answer(own, deadline); });
}

actors::pending<bytes> ask_raw(caf::scheduled_actor* self, const bound_endpoint& rpc,
                               const target& whom, std::string_view name, const signature& wanted,
                               caf::expected<bytes> arguments) {
  auto deadline = rpc.deadline();
  return {self, deadline, starter_of(rpc, whom, name, wanted, std::move(arguments), deadline)};
}

} // namespace fly::rpc
