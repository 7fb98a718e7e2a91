#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/actors/error.hpp"

namespace fly::rpc {

/// The requests to one remote actor that have no reply yet; Who is whom the reply is for. A pure
/// value: takes the time, and is guarded by who owns it.
template <class Who>
class request_table {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Most requests at one time.
  static constexpr std::size_t requests_max = 65'536;

  /// How long a request keeps its place at least. Where the table is full, older ones make room:
  /// their actors have given up, or ask what nobody will ever answer.
  static constexpr std::chrono::minutes patience{10};

  /// Adds a request under `number`, which is higher than all before. Those that had to make room
  /// are appended to `expired`. Errors: errc::overloaded, and nothing has changed.
  caf::error add(std::uint64_t number, Who who, time_point now, std::vector<Who>& expired) {
    if (open_.size() >= requests_max)
      make_room(now, expired);
    if (open_.size() >= requests_max)
      return make_error(errc::overloaded,
                        std::to_string(requests_max) + " requests to this actor have no reply yet");
    open_.emplace_hint(open_.end(), number, entry{std::move(who), now});
    return {};
  }

  /// Takes out the request `number`; nothing where it is not (or no longer) there.
  std::optional<Who> take(std::uint64_t number) {
    auto found = open_.find(number);
    if (found == open_.end())
      return std::nullopt;
    std::optional<Who> result{std::move(found->second.who)};
    open_.erase(found);
    return result;
  }

  /// Takes out all.
  std::vector<Who> drain() {
    std::vector<Who> result;
    for (auto& [number, each] : open_)
      result.push_back(std::move(each.who));
    open_.clear();
    return result;
  }

  std::size_t size() const noexcept { return open_.size(); }

private:
  struct entry {
    Who who;
    time_point since;
  };

  void make_room(time_point now, std::vector<Who>& expired) {
    while (!open_.empty() && now - open_.begin()->second.since >= patience) {
      expired.push_back(std::move(open_.begin()->second.who));
      open_.erase(open_.begin());
    }
  }

  std::map<std::uint64_t, entry> open_; // by number, and so by age; size() <= requests_max
};

} // namespace fly::rpc
