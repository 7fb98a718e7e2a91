// The part of lsn_tracker.hpp that asks its core: whoever drives that.
#include <mutex>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/repo/lsn_tracker.hpp"
#include "fly/repo/tracker_core.hpp"
#include "fly/repo/wait_help.hpp"

namespace fly::repo {

lsn_tracker::~lsn_tracker() {
  close();
}

actors::expire lsn_tracker::wait_for(const position& where, time_point deadline,
                                     actors::completion<caf::unit_t> done) {
  auto* help = wait_help::free_one();
  auto added = core_->add(where, deadline, std::move(done), help != nullptr);
  if (!added)
    return [] {};
  if (added->left)
    help->take(core_, added->who);
  return [core = core_, ticket = added->who] {
    core->end(ticket, make_error(errc::not_visible, "the local database was not that far in time"));
  };
}

std::optional<progress> lsn_tracker::current() const {
  if (auto last = sighted())
    return std::move(last->seen);
  return std::nullopt;
}

std::optional<server_identity> lsn_tracker::server() const {
  if (auto last = sighted())
    return std::move(last->server);
  return std::nullopt;
}

std::optional<sighting> lsn_tracker::sighted() const {
  std::lock_guard guard{core_->mutex};
  return core_->last;
}

void lsn_tracker::saw(const server_identity& server, const progress& seen, time_point asked) {
  std::lock_guard guard{core_->mutex};
  if (core_->last)
    core_->last->add(server, seen, asked);
}

std::optional<lsn_tracker::time_point> lsn_tracker::end_late(time_point now) {
  std::unique_lock lock{core_->mutex};
  core_->expire(lock, now);
  return core_->waiting.next_deadline();
}

std::size_t lsn_tracker::waiting() const {
  std::lock_guard guard{core_->mutex};
  return core_->waiting.size();
}

void lsn_tracker::close() {
  core_->close();
}

} // namespace fly::repo
