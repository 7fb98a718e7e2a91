// The part of node.hpp that asks and tells its state: whatever carries the node.
#include <algorithm>
#include <utility>

#include "fly/cluster/mesh.hpp"
#include "fly/cluster/node.hpp"
#include "fly/cluster/node_state.hpp"

namespace fly::cluster {

namespace {

/// Lets the I/O thread take the newest value of `slot`. What is announced faster than it is taken,
/// as by a node that has not joined, leaves one value and one task.
template <class T, class Take>
void tell(doorbell& bell, const std::shared_ptr<newest<T>>& slot, T value, Take take) {
  if (!slot->put(std::move(value)))
    return; // the task that will take the one before takes this one
  bell.post([slot, take](mesh& links) {
    if (auto latest = slot->take())
      take(links, std::move(*latest));
  });
}

} // namespace

const std::string& node::my_region() const noexcept {
  return state().settings().region;
}

std::string node::primary_region() const {
  auto latest = state().read();
  return latest->primary.region;
}

bool node::is_primary() const {
  auto latest = state().read();
  const auto& group = latest->primary.group;
  return std::any_of(group.begin(), group.end(),
                     [this](const member& who) { return who.id == state().self().id; });
}

std::vector<member> node::members() const {
  auto latest = state().read();
  std::vector<member> result;
  for (const auto& view : latest->views)
    result.push_back(view.who);
  return result;
}

std::vector<member> node::region_nodes(std::string_view region) const {
  auto result = members();
  std::erase_if(result, [region](const member& who) { return who.region != region; });
  return result;
}

std::optional<member> node::leader() const {
  auto latest = state().read();
  for (const auto& who : latest->primary.group)
    if (who.id == latest->primary.leader)
      return who;
  return std::nullopt;
}

member node::self() const {
  return state().self();
}

std::vector<member_view> node::views() const {
  auto latest = state().read();
  return latest->views;
}

primary_state node::primary() const {
  auto latest = state().read();
  return latest->primary;
}

std::vector<member> node::primary_group() const {
  auto latest = state().read();
  return latest->primary.group;
}

std::shared_ptr<channel> node::channel_to(std::string_view id) const {
  auto latest = state().read();
  auto found = latest->channels.find(id);
  return found == latest->channels.end() ? nullptr : found->second;
}

void node::announce(claim database) {
  tell(state().bell(), state().database(), std::move(database),
       [](mesh& links, claim latest) { links.set_claim(std::move(latest)); });
}

bool node::occupy(const void* who) noexcept {
  return state().occupy(who);
}

void node::vacate(const void* who) noexcept {
  state().vacate(who);
}

void node::announce_services(std::string services) {
  tell(state().bell(), state().services(), std::move(services),
       [](mesh& links, std::string latest) { links.set_services(std::move(latest)); });
}

void node::announce_load(std::uint32_t running) {
  tell(state().bell(), state().load(), running,
       [](mesh& links, std::uint32_t latest) { links.set_load(latest); });
}

void node::listen(std::shared_ptr<listener> who) {
  state().heard_by().add(std::move(who));
}

void node::unlisten(const listener* who) {
  state().heard_by().remove(who);
}

const options& node::settings() const noexcept {
  return state().settings();
}

} // namespace fly::cluster
