#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fly/cluster/claim.hpp"
#include "fly/cluster/member.hpp"

namespace fly::cluster {

/// Who is there, by id: each id once, in its latest incarnation. A pure value.
class directory {
public:
  enum class change : std::uint8_t {
    added,    ///< The id was not there.
    known,    ///< The same incarnation was there; nothing changed.
    replaced, ///< An older incarnation, or an observer where `who` is none; it is dropped.
    refused,  ///< A later incarnation, or a member where `who` is an observer; nothing changed.
  };

  /// Puts `who` in, first seen at `since`.
  change put(const member& who, std::chrono::system_clock::time_point since);

  /// Returns what `put(who)` would do.
  change test(const member& who) const;

  /// Takes the member out. Returns whether it was there.
  bool erase(std::string_view id);

  /// Returns the member, null where it is not there. Valid until it is replaced or erased.
  member_view* find(std::string_view id);
  const member_view* find(std::string_view id) const;

  /// Returns all members but observers, sorted by region and id.
  std::vector<member_view> views() const;

  /// Returns the number of entries, observers included.
  std::size_t size() const noexcept { return members_.size(); }

private:
  std::map<std::string, member_view, std::less<>> members_;
};

/// Returns one of `candidates`, null where there is none: of two drawn with `random` (uniform over
/// 64 bits) the one that is alive, or else less loaded. Two choices even out the load nearly as
/// well as asking all, and do not send everybody to the same one.
const member_view* pick(std::span<const member_view> candidates, std::uint64_t random);

} // namespace fly::cluster
