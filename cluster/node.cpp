#include "fly/cluster/node.hpp"

#include <algorithm>
#include <utility>

#include "fly/cluster/mesh.hpp"
#include "fly/cluster/node_core.hpp"

namespace fly::cluster {

node::node(options settings) : core_(std::make_unique<node_core>(nullptr, std::move(settings))) {}

node::node(caf::actor_system& lent, options settings)
    : core_(std::make_unique<node_core>(&lent, std::move(settings))) {}

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

const std::string& node::my_region() const noexcept {
  return core_->settings().region;
}

std::string node::primary_region() const {
  return core_->read()->primary.region;
}

bool node::is_primary() const {
  const auto& group = core_->read()->primary.group;
  return std::any_of(group.begin(), group.end(),
                     [this](const member& who) { return who.id == core_->self().id; });
}

std::vector<member> node::members() const {
  std::vector<member> result;
  for (const auto& view : core_->read()->views)
    result.push_back(view.who);
  return result;
}

std::vector<member> node::region_nodes(std::string_view region) const {
  auto result = members();
  std::erase_if(result, [region](const member& who) { return who.region != region; });
  return result;
}

std::optional<member> node::leader() const {
  auto latest = core_->read();
  for (const auto& who : latest->primary.group)
    if (who.id == latest->primary.leader)
      return who;
  return std::nullopt;
}

member node::self() const {
  return core_->self();
}

std::vector<member_view> node::views() const {
  return core_->read()->views;
}

primary_state node::primary() const {
  return core_->read()->primary;
}

std::vector<member> node::primary_group() const {
  return core_->read()->primary.group;
}

std::shared_ptr<channel> node::channel_to(std::string_view id) const {
  auto latest = core_->read();
  auto found = latest->channels.find(id);
  return found == latest->channels.end() ? nullptr : found->second;
}

void node::announce(claim database) {
  core_->bell().post([database = std::move(database)](mesh& links) { links.set_claim(database); });
}

void node::announce_services(std::string services) {
  core_->bell().post(
      [services = std::move(services)](mesh& links) { links.set_services(services); });
}

void node::announce_load(std::uint32_t running) {
  core_->bell().post([running](mesh& links) { links.set_load(running); });
}

void node::listen(std::shared_ptr<listener> who) {
  core_->heard_by().add(std::move(who));
}

void node::unlisten(const listener* who) {
  core_->heard_by().remove(who);
}

caf::actor_system& node::system() const noexcept {
  return core_->system();
}

const options& node::settings() const noexcept {
  return core_->settings();
}

} // namespace fly::cluster
