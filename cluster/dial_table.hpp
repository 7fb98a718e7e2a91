#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fly/actors/backoff.hpp"

namespace fly::cluster {

/// Addresses that may lead to members, and when each is tried again. A pure value.
class dial_table {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Most addresses that are remembered; those beyond it are not tried.
  static constexpr std::size_t addresses_max = 4096;
  /// Most attempts that are under way at once.
  static constexpr std::size_t attempts_max = 64;

  /// `seed` decides the jitter between the attempts.
  dial_table(actors::backoff_options delays, std::uint64_t seed);

  /// Takes the addresses that are to be tried from now on; what is known of those that stay is
  /// kept, except that an address that is left out is forgotten once its attempt is over.
  void want(const std::vector<std::string>& addresses);

  /// Tells for an address whether there is nothing to be won there: a member with that listening
  /// address, or the one that answered there last, is linked.
  using served = std::function<bool(const std::string& address, const std::string& reached_id)>;

  /// Returns the addresses to try now, those that have waited longest, and marks them as under way.
  std::vector<std::string> due(time_point now, const served& is_served);

  /// Says that the attempt at `address` reached the member `id`.
  void reached(const std::string& address, const std::string& id);

  /// Says that the attempt at `address` led to nothing: the next one waits longer.
  void failed(const std::string& address, time_point now);

  /// Says that `address` leads to this node: it is not tried again.
  void own(const std::string& address);

  /// Says that the link to the member `id` is lost, which was up for `lived`: where it was reached
  /// is tried again soon; later each time where links there do not even last as long as the longest
  /// delay.
  void lost(std::string_view id, std::chrono::steady_clock::duration lived, time_point now);

private:
  struct target {
    actors::backoff delays; // of attempts that led to nothing
    actors::backoff flaps;  // of links that did not last
    time_point next{};
    std::string reached_id;
    bool under_way = false;
    bool own = false;
    bool wanted = true;
  };

  actors::backoff_options delays_;
  std::uint64_t seed_;
  std::map<std::string, target> targets_; // size <= addresses_max
};

} // namespace fly::cluster
