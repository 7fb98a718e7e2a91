#include "fly/repo/session.hpp"

#include <mutex>

#include "fly/repo/spot.hpp"

namespace fly::repo {

struct session::state {
  std::mutex mutex;
  std::optional<fly::repo::position> seen; // guarded by mutex
  bool uncertain = false;                  // guarded by mutex
  moment version = 0;                      // guarded by mutex

  void join(const fly::repo::position& where, const timeline_history& history) {
    ++version;
    if (!seen) {
      seen = where;
      return;
    }
    if (auto both = merge(*seen, where, history)) {
      seen = *both;
      return;
    }
    // The higher timeline has the other one's log, or that one is lost: nothing else can be waited
    // for.
    uncertain = true;
    if (seen->system != where.system || seen->timeline < where.timeline)
      seen = where;
  }
};

session::session() : state_(std::make_shared<state>()) {}

session::session(const fly::repo::position& seen) : session() {
  state_->seen = seen;
}

std::optional<position> session::position() const {
  std::lock_guard guard{state_->mutex};
  return state_->seen;
}

bool session::uncertain() const {
  std::lock_guard guard{state_->mutex};
  return state_->uncertain;
}

void session::forget() {
  std::lock_guard guard{state_->mutex};
  state_->seen.reset();
  state_->uncertain = false;
  ++state_->version;
}

session::moment session::now() const {
  std::lock_guard guard{state_->mutex};
  return state_->version;
}

void session::wrote(const fly::repo::position& where, const timeline_history& history,
                    moment begun) {
  std::lock_guard guard{state_->mutex};
  auto& seen = state_->seen;
  bool after = state_->version == begun && seen && same_history(*seen, where) &&
               seen->lsn <= where.lsn && where.xid;
  if (after) {
    // Merge would drop the transaction id, which ends a wait on a page border.
    seen = is_of_primary(*seen) ? where : with_shown(where);
    ++state_->version;
  } else {
    state_->join(where, history);
  }
}

void session::read(const fly::repo::position& where, const timeline_history& history,
                   std::optional<moment> begun) {
  std::lock_guard guard{state_->mutex};
  auto& seen = state_->seen;
  bool is_late = begun && *begun != state_->version;
  if (is_late && seen && !is_of_primary(*seen) && is_of_primary(where)) {
    state_->join(with_shown(where), history); // it did not look for what was noted meanwhile
    return;
  }
  if (seen && !seen->xid && same_history(*seen, where) && is_of_primary(where) &&
      where.lsn.bytes() + 1 == seen->lsn.bytes()) { // the same place, and the primary has shown it
    seen = where;
    ++state_->version;
    return;
  }
  state_->join(where, history);
}

} // namespace fly::repo
