#include "fly/repo/opening_pace.hpp"

#include <algorithm>
#include <utility>

#include "fly/actors/error.hpp"

namespace fly::repo {

namespace {

/// Of the server, of its database or of the role: max_connections or CONNECTION LIMIT.
bool has_no_room(const caf::error& reason) {
  auto details = details_of(reason);
  auto found = details.find("sqlstate");
  return found != details.end() && found->second == "53300";
}

} // namespace

opening_pace::step opening_pace::next(time_point now, std::size_t others,
                                      std::chrono::nanoseconds patience) {
  if (trying_)
    return step::wait;
  if (now >= retry_at_ || (!full_ && patience - patience / 8 > tried_)) {
    trying_ = full_;
    return step::open;
  }
  return full_ && (others > 0 || now < room_until_) ? step::wait : step::refuse;
}

bool opening_pace::opened() {
  retry_.reset();
  retry_at_ = {};
  tried_ = {};
  trying_ = false;
  return std::exchange(full_, false);
}

void opening_pace::failed(time_point now, caf::error reason, std::chrono::nanoseconds tried) {
  full_ = has_no_room(reason);
  tried_ = std::max(tried_, tried);
  trying_ = false;
  reason_ = std::move(reason);
  retry_at_ = now + retry_.next();
}

void opening_pace::closed(time_point now) {
  room_until_ = now + leaves_within;
  if (!full_)
    return;
  retry_.reset();
  retry_at_ = now;
}

} // namespace fly::repo
