#include "fly/repo/lease.hpp"

#include <charconv>
#include <optional>

#include "fly/actors/error.hpp"
#include "fly/repo/commit_hold.hpp"

namespace fly::repo {

namespace {

template <class Number>
bool read(const std::optional<std::string>& text, Number& value) {
  if (!text)
    return false;
  auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), value);
  return code == std::errc{} && end == text->data() + text->size();
}

std::string holder_of(const pq_link& link, const cluster::member& me) {
  return link.quote(me.id) + ", " + std::to_string(me.incarnation);
}

} // namespace

caf::expected<lease_answer> take_lease(pq_link& link, const cluster::member& me,
                                       std::chrono::milliseconds lasts,
                                       pq_link::time_point deadline) {
  // One query is one transaction. An epoch must not be lost in a crash, hence local; nor wait for a
  // replica. A question that nobody waits for any more must not take the lease later.
  auto rows = link.query("SET LOCAL synchronous_commit = local; SET LOCAL lock_timeout = " +
                             std::to_string((lasts / 3).count()) + "; SELECT " +
                             commit_hold_column + "; SELECT * FROM fly.take_lease(" +
                             holder_of(link, me) + ", '" + std::to_string(lasts.count()) + " ms')",
                         deadline);
  if (!rows)
    return std::move(rows.error());
  lease_answer result;
  std::int64_t left = 0;
  const auto* row = rows->size() == 1 && rows->front().size() == 5 ? &rows->front() : nullptr;
  if (row == nullptr || !read((*row)[2], left) || !read((*row)[3], result.turn.timeline) ||
      !read((*row)[4], result.turn.counter))
    return make_error(errc::database_unavailable, "the database does not tell of the lease");
  result.held = (*row)[0] == "t";
  result.holder = (*row)[1].value_or("");
  result.left = std::chrono::milliseconds{left};
  return result;
}

caf::error end_lease(pq_link& link, const cluster::member& me, pq_link::time_point deadline) {
  auto rows = link.query("SET LOCAL synchronous_commit = local; SELECT fly.end_lease(" +
                             holder_of(link, me) + ")",
                         deadline);
  return rows ? caf::error{} : rows.error();
}

std::string fence_of(const cluster::epoch& turn) {
  return "SELECT fly.hold_epoch(" + std::to_string(turn.timeline) + ", " +
         std::to_string(turn.counter) + ")";
}

} // namespace fly::repo
