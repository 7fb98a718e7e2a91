#include "fly/rpc/call_parts.hpp"

#include <algorithm>

namespace fly::rpc {

using std::chrono::microseconds;

void call_parts::add(std::string_view name, microseconds took) {
  took = std::max(took, microseconds{0});
  auto found = std::find_if(all_.begin(), all_.end(), [&](auto& it) { return it.first == name; });
  if (found != all_.end())
    found->second += took;
  else if (all_.size() < parts_max && name.size() <= name_bytes_max)
    all_.emplace_back(name, took);
}

std::optional<microseconds> call_parts::of(std::string_view name) const {
  for (const auto& [each, took] : all_)
    if (each == name)
      return took;
  return std::nullopt;
}

microseconds call_parts::total() const {
  microseconds result{0};
  for (const auto& [name, took] : all_)
    result += took;
  return result;
}

} // namespace fly::rpc
