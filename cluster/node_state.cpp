#include "fly/cluster/node_state.hpp"

#include <chrono>
#include <utility>

#include "fly/cluster/primary.hpp"

namespace fly::cluster {

namespace {

snapshot first_snapshot(const options& settings, const member& self) {
  snapshot first;
  primary rule{settings.primary_region};
  if (!self.observer) {
    member_view view;
    view.who = self;
    view.state = presence::self;
    view.since = std::chrono::system_clock::now();
    first.views.push_back(std::move(view));
  }
  rule.update(first.views);
  first.primary = rule.state();
  return first;
}

} // namespace

node_state::node_state(options settings, member self)
    : settings_(std::move(settings)), self_(std::move(self)),
      board_(first_snapshot(settings_, self_)), listeners_(settings_.log),
      bell_(std::make_shared<doorbell>()) {}

mesh_options node_state::links_setup() const {
  mesh_options links;
  links.who = {.self = self_,
               .cluster = settings_.app,
               .secret = *settings_.load_secret(),
               .secret_also = *settings_.load_secret_also()};
  links.membership = {.self = self_,
                      .heartbeat = settings_.heartbeat,
                      .silence_max = settings_.silence_max,
                      .handshake_timeout = settings_.handshake_timeout,
                      .strangers_max = settings_.strangers_max,
                      .dial = {.first = settings_.dial_first, .max = settings_.dial_max},
                      .seed = self_.incarnation};
  links.limits = {.frame_bytes_max = settings_.frame_bytes_max,
                  .unsent_bytes_max = settings_.unsent_bytes_max};
  links.primary_label = settings_.primary_region;
  links.log = settings_.log;
  return links;
}

std::uint64_t incarnation_now() {
  auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count());
}

} // namespace fly::cluster
