#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/local/delay_proxy.hpp"
#include "apps/local/region_rules.hpp"

namespace fly::local {

/// Where a region's node listens, and where the others are to find it.
struct region_door {
  std::string own{};   ///< "127.0.0.2"; its connections come from here.
  std::string front{}; ///< "127.0.0.102".
};

/// All that lies between the regions of a playground: a proxy before each node, and one for each
/// replica to its primary. They can be late and cut. Not thread-safe. A resource.
class region_lines {
public:
  /// Lets each region's node be found at its front, at the same `port`. Throws std::runtime_error
  /// where an address cannot be used.
  region_lines(const std::vector<region_door>& doors, std::uint16_t port,
               std::chrono::milliseconds usual_delay);

  /// Returns the port of 127.0.0.1 at which region `from` reaches the database of region `to`,
  /// which listens on `port`; always the same one for the two.
  std::uint16_t to_database(std::size_t from, std::size_t to, std::uint16_t port);

  /// As `region_rules` have it, and at once.
  void cut(std::size_t region, bool in, bool out);
  void delay(std::size_t region, std::optional<std::chrono::milliseconds> each_way);

  /// Returns whether anything is cut between two regions.
  bool is_cut(std::size_t one, std::size_t other) const;

private:
  void apply();

  region_rules rules_;
  std::vector<std::unique_ptr<delay_proxy>> fronts_;
  std::map<std::pair<std::size_t, std::size_t>, std::unique_ptr<delay_proxy>> databases_;
};

} // namespace fly::local
