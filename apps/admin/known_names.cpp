#include "apps/admin/known_names.hpp"

#include <utility>

#include "fly/cluster/node.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/registry.hpp"

namespace fly::admin {

using clock = std::chrono::steady_clock;

std::string known_names::known(names& all, std::string_view name) {
  std::lock_guard guard{mutex_};
  if (!all.contains(name))
    refresh();
  auto found = all.find(name);
  return found == all.end() ? other : *found;
}

std::string known_names::region_of(std::string_view id) {
  std::lock_guard guard{mutex_};
  if (!homes_.contains(id))
    refresh();
  auto found = homes_.find(id);
  return found == homes_.end() ? other : found->second;
}

void known_names::refresh() {
  constexpr std::chrono::milliseconds least_interval{100};
  auto now = clock::now();
  if (refreshed_ != clock::time_point{} && now - refreshed_ < least_interval)
    return;
  refreshed_ = now;
  auto add = [](names& all, const std::string& name) {
    if (all.size() < names_max)
      all.insert(name);
  };
  for (const auto& [name, signature] : rpc_.served())
    add(functions_, name);
  if (homes_.size() >= names_max)
    homes_.clear(); // machines come and go: those that are here are added below
  add(regions_, rpc_.node().my_region());
  for (const auto& view : rpc_.node().views()) {
    add(regions_, view.who.region);
    if (homes_.size() < names_max)
      homes_.insert_or_assign(view.who.id, view.who.region);
    auto offered = rpc::parse_announcement(view.services);
    for (const auto& [name, fingerprint] : offered ? *offered : rpc::offer{})
      add(functions_, name);
  }
}

} // namespace fly::admin
