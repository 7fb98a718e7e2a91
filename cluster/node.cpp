#include "fly/cluster/node.hpp"

#include "fly/cluster/node_core.hpp"

namespace fly::cluster {

node::node(options settings) : core_(std::make_unique<node_core>(nullptr, settings)) {}

node::node(caf::actor_system& lent, options settings)
    : core_(std::make_unique<node_core>(&lent, settings)) {}

node::~node() = default;

caf::error node::join() {
  return core_->join();
}

caf::error node::reload_tls() {
  return core_->reload_tls();
}

void node::leave() {
  core_->leave();
}

caf::actor_system& node::system() const noexcept {
  return core_->system();
}

node_state& node::state() const noexcept {
  return *core_;
}

} // namespace fly::cluster
