#include "fly/cluster/directory.hpp"

#include <algorithm>
#include <tuple>

namespace fly::cluster {

directory::change directory::test(const member& who) const {
  auto found = members_.find(who.id);
  if (found == members_.end())
    return change::added;
  const auto& known = found->second.who;
  if (known.observer != who.observer) // whoever started later: a visitor must not pass for a member
    return who.observer ? change::refused : change::replaced;
  if (known.incarnation == who.incarnation)
    return change::known;
  return known.incarnation < who.incarnation ? change::replaced : change::refused;
}

directory::change directory::put(const member& who, std::chrono::system_clock::time_point since) {
  auto result = test(who);
  if (result == change::added || result == change::replaced) {
    member_view fresh;
    fresh.who = who;
    fresh.since = since;
    members_.insert_or_assign(who.id, std::move(fresh));
  }
  return result;
}

bool directory::erase(std::string_view id) {
  auto found = members_.find(id);
  if (found == members_.end())
    return false;
  members_.erase(found);
  return true;
}

member_view* directory::find(std::string_view id) {
  auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

const member_view* directory::find(std::string_view id) const {
  auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

std::vector<member_view> directory::views() const {
  std::vector<member_view> result;
  for (const auto& [id, view] : members_)
    if (!view.who.observer)
      result.push_back(view);
  std::stable_sort(result.begin(), result.end(), [](const member_view& a, const member_view& b) {
    return std::tie(a.who.region, a.who.id) < std::tie(b.who.region, b.who.id);
  });
  return result;
}

const member_view* pick(std::span<const member_view> candidates, std::uint64_t random) {
  if (candidates.empty())
    return nullptr;
  auto count = candidates.size();
  auto first = static_cast<std::size_t>((random & 0xffffffffU) % count);
  if (count == 1)
    return &candidates[first];
  // The second is another one: an offset of 1 to count - 1.
  auto second = (first + 1 + static_cast<std::size_t>((random >> 32) % (count - 1))) % count;
  const auto& a = candidates[first];
  const auto& b = candidates[second];
  bool a_suspect = a.state == presence::suspect;
  bool b_suspect = b.state == presence::suspect;
  if (a_suspect != b_suspect)
    return a_suspect ? &b : &a;
  return b.load < a.load ? &b : &a;
}

} // namespace fly::cluster
