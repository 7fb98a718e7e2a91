#include "fly/cluster/claim.hpp"

namespace fly::cluster {

std::string_view to_string(enum claim::role role) noexcept {
  switch (role) {
  case claim::role::none:
    return "none";
  case claim::role::unknown:
    return "unknown";
  case claim::role::unreachable:
    return "unreachable";
  case claim::role::replica:
    return "replica";
  case claim::role::primary:
    break;
  }
  return "primary";
}

std::string to_string(const epoch& which) {
  return std::to_string(which.timeline) + "/" + std::to_string(which.counter);
}

bool differs_in_kind(const claim& a, const claim& b) noexcept {
  return a.role != b.role || a.system != b.system || a.timeline != b.timeline ||
         a.server != b.server || a.reason != b.reason || a.lease != b.lease || a.leads != b.leads;
}

std::string_view to_string(presence state) noexcept {
  switch (state) {
  case presence::self:
    return "self";
  case presence::alive:
    return "alive";
  case presence::suspect:
    break;
  }
  return "suspect";
}

} // namespace fly::cluster
