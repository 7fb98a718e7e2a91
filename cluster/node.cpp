#include "fly/cluster/node.hpp"

#include <string_view>
#include <utility>

#include "fly/cluster/node_core.hpp"

namespace fly::cluster {

namespace {

/// The log is written on threads that an exception would end: what a sink throws is dropped.
options guarded(options settings) {
  if (settings.log)
    settings.log = [sink = std::move(settings.log)](log_level level, std::string_view text) {
      try {
        sink(level, text);
      } catch (...) {
        // A disk that is full, say: there is nobody left to tell.
      }
    };
  return settings;
}

} // namespace

node::node(options settings)
    : core_(std::make_unique<node_core>(nullptr, guarded(std::move(settings)))) {}

node::node(caf::actor_system& lent, options settings)
    : core_(std::make_unique<node_core>(&lent, guarded(std::move(settings)))) {}

node::~node() = default;

caf::error node::join() {
  return core_->join();
}

caf::error node::reload_tls() {
  return core_->reload_tls();
}

std::optional<std::chrono::system_clock::time_point> node::certificate_end() const {
  return core_->certificate_end();
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
