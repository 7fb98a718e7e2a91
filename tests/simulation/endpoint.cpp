// In the place of rpc/endpoint.cpp: the face of the real endpoint_core, driven by the machine's
// timer instead of an actor.
#include "fly/rpc/endpoint.hpp"

#include <algorithm>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/actors/supervisor.hpp"
#include "fly/cluster/node.hpp"
#include "fly/rpc/endpoint_core.hpp"
#include "tests/simulation/world.hpp"

namespace fly::rpc {

using clock = std::chrono::steady_clock;

namespace {

/// The look of the RPC actor at what waits.
void drive_later(const std::weak_ptr<endpoint_core>& core, simulation::machine& host) {
  auto locked = core.lock();
  if (!locked)
    return;
  auto due = host.clock.when(clock::now() + locked->options().tick, simulation::now());
  simulation::world::present().when.at(due, &host, [core, &host] {
    if (auto again = core.lock())
      again->drive();
    drive_later(core, host);
  });
}

} // namespace

endpoint::endpoint(cluster::node& node, endpoint_options options)
    : core_(std::make_shared<endpoint_core>(node, std::move(options))) {
  core_->open();
  drive_later(core_, *simulation::world::present().when.running());
}

endpoint::~endpoint() = default;

caf::error endpoint::serve_raw(std::string name, std::string signature, serve_options options,
                               raw_handler handler) {
  return core_->serve(std::move(name),
                      {rpc::signature{std::move(signature)}, options, std::move(handler)});
}

call_end endpoint::start(const target& whom, std::string_view name, const signature& wanted,
                         bytes arguments, clock::time_point deadline, raw_reply reply,
                         std::shared_ptr<call_trace> trace, call_traits how,
                         answer_reader*) const { // nobody blocks here
  call begun;
  begun.whom = whom;
  begun.name = name;
  begun.wanted = wanted;
  begun.arguments = std::make_shared<const bytes>(std::move(arguments));
  begun.begun = clock::now();
  begun.deadline = std::min(deadline, begun.begun + std::chrono::hours{24});
  begun.reply = std::move(reply);
  begun.trace = std::move(trace);
  begun.traits = std::move(how);
  return {core_, core_->caller().start(std::move(begun))};
}

} // namespace fly::rpc
