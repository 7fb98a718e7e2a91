#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "apps/local/delay_connection.hpp"

namespace fly::local {

/// Who can reach whom, and how late. A pure value.
class region_rules {
public:
  /// `regions` of them, `usual` apart each way.
  region_rules(std::size_t regions, std::chrono::milliseconds usual)
      : usual_(usual), regions_(regions) {}

  /// Lets nothing come into a region, or out of it, from and to any other; or lets it again.
  void cut(std::size_t region, bool in, bool out);

  /// Lets everything between a region and any other take so long each way; nothing: as usual.
  void delay(std::size_t region, std::optional<std::chrono::milliseconds> each_way);

  /// Returns what holds for a connection that one region has dialled to another. Of two delays the
  /// longer one counts. No region, the number of regions, stands for outside of all.
  line_rules between(std::size_t from, std::size_t to) const;

private:
  struct state {
    bool in_cut = false;
    bool out_cut = false;
    std::optional<std::chrono::milliseconds> delay{};
  };

  bool passes(std::size_t from, std::size_t to) const;

  std::chrono::milliseconds usual_;
  std::vector<state> regions_;
};

} // namespace fly::local
