#include "fly/rpc/late_frames.hpp"

#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/channel.hpp"
#include "fly/cluster/wire.hpp"

namespace fly::rpc {

bool late_frames::has_waiting(const cluster::channel* link) {
  if (is_empty_)
    return false;
  std::lock_guard guard{mutex_};
  return waiting_.contains(link);
}

late_frames::fate late_frames::send(const std::shared_ptr<cluster::channel>& link,
                                    cluster::frame_kind kind, std::vector<char> head, bytes body,
                                    std::optional<std::uint64_t> last_of) {
  if (1 + head.size() + body.size() > link->limits().frame_bytes_max)
    return fate::too_large;
  if (!has_waiting(link.get()) &&
      link->send(kind, cluster::bytes_of(head), cluster::bytes_of(body)) != errc::overloaded)
    return fate::taken;
  kept late{link, kind, std::move(head), std::move(body), last_of};
  std::lock_guard guard{mutex_};
  auto& waiting = waiting_[link.get()];
  if (!last_of && waiting + late.size() > kept_bytes_max)
    return fate::refused;
  if (last_of && !last_.emplace(link.get(), *last_of).second)
    return fate::taken;
  waiting += late.size();
  late_.push_back(std::move(late));
  is_empty_ = false;
  return fate::taken;
}

void late_frames::flush() {
  if (is_empty_)
    return;
  std::lock_guard guard{mutex_};
  std::deque<kept> still;
  waiting_.clear();
  for (auto& each : late_) {
    bool is_full = waiting_.contains(each.link.get()) || // what follows waits, too
                   each.link->send(each.kind, cluster::bytes_of(each.head),
                                   cluster::bytes_of(each.body)) == errc::overloaded;
    if (!is_full) {
      if (each.last_of)
        last_.erase({each.link.get(), *each.last_of});
      continue;
    }
    waiting_[each.link.get()] += each.size();
    still.push_back(std::move(each));
  }
  late_.swap(still);
  is_empty_ = late_.empty();
}

} // namespace fly::rpc
