#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "fly/cluster/claim.hpp"

namespace fly::rpc {
class endpoint;
}

namespace fly::admin {

/// The names that may stand in a metric: functions that somebody serves, and regions that somebody
/// is in. Whatever else a call is made of, its labels stay few. Looks at the cluster again at most
/// ten times a second. Safe from any thread.
class known_names {
public:
  /// Stands for every other name.
  static constexpr const char* other = "other";
  /// Most names of a kind that are kept; later ones are `other`.
  static constexpr std::size_t names_max = 1000;

  /// Borrows `rpc`, which outlives it.
  explicit known_names(const rpc::endpoint& rpc) : rpc_(rpc) {}

  /// Return the name where it is known, else `other`.
  std::string function(std::string_view name) { return known(functions_, name); }
  std::string region(std::string_view name) { return known(regions_, name); }

  /// Returns the region of the member `id`, also of one that is gone; `other` for a stranger.
  std::string region_of(std::string_view id);

private:
  using names = std::set<std::string, std::less<>>;

  std::string known(names& all, std::string_view name);
  void refresh(); // with the mutex held

  const rpc::endpoint& rpc_;
  std::mutex mutex_;
  names functions_;                                       // guarded by mutex_; size <= names_max
  names regions_;                                         // guarded by mutex_; size <= names_max
  std::map<std::string, std::string, std::less<>> homes_; // guarded by mutex_; id to region
  std::chrono::steady_clock::time_point refreshed_{};     // guarded by mutex_
};

} // namespace fly::admin
