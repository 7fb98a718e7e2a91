// The part of endpoint.hpp that asks its core: whoever drives that.
#include "fly/actors/blocking_guard.hpp"
#include "fly/rpc/answer_reader.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/endpoint_core.hpp"

namespace fly::rpc {

void call_end::operator()() const {
  if (auto core = core_.lock(); core && id_ != 0)
    core->caller().end(id_);
}

void endpoint::read_answer(answer_reader& own, std::chrono::steady_clock::time_point until) const {
  own.read(until, [&](const auto& link, const cluster::frame& received) {
    actors::no_blocking meanwhile; // nobody else reads the link
    core_->on_own_answer(link, received.payload, own.sink());
  });
}

endpoint_counts endpoint::counts() const {
  auto waiting = core_->caller().waiting();
  return {.in_flight = core_->caller().calls() - waiting,
          .waiting = waiting,
          .serving = core_->server().serving()};
}

cluster::node& endpoint::node() const noexcept {
  return core_->node();
}

actors::worker_pool& endpoint::workers() const noexcept {
  return core_->workers();
}

} // namespace fly::rpc
