#include "fly/actors/restart_plan.hpp"

#include <algorithm>
#include <utility>

namespace fly::actors {

restart_plan::restart_plan(supervisor_options options, std::uint64_t seed)
    : options_(options), window_(options.restarts_max, options.restarts_within),
      delay_(options.delay, seed) {}

bool restart_plan::add(const child_spec& spec) {
  if (find(spec.id) != nullptr)
    return false;
  children_.push_back({.id = spec.id, .restart = spec.restart, .shutdown = spec.shutdown});
  children_.back().wanted = !ending_;
  return true;
}

void restart_plan::started(const std::string& id) {
  if (auto* it = find(id)) {
    it->state = state::running;
    it->wanted = false;
    it->stop |= ending_; // also where it was stopped while it started
  }
}

void restart_plan::start_failed(const std::string& id, time_point now) {
  auto* it = find(id);
  if (it == nullptr)
    return;
  it->state = state::down;
  it->wanted = false;
  bool asked = std::exchange(it->stop, false);
  if (asked || it->restart == restart::temporary)
    settle(static_cast<std::size_t>(it - children_.data()));
  else
    fail(*it, now);
}

void restart_plan::ended(const std::string& id, bool abnormal, time_point now) {
  auto* it = find(id);
  if (it == nullptr || it->state == state::down)
    return;
  bool asked = it->state != state::running || it->stop;
  it->state = state::down;
  it->stop = false;
  bool again = it->restart == restart::permanent || (it->restart == restart::transient && abnormal);
  if (asked || !again)
    settle(static_cast<std::size_t>(it - children_.data()));
  else
    fail(*it, now);
}

bool restart_plan::stop(const std::string& id) {
  auto* it = find(id);
  if (it == nullptr)
    return false;
  it->wanted = false;
  it->stop = it->state != state::down;
  settle(static_cast<std::size_t>(it - children_.data()));
  return true;
}

bool restart_plan::start(const std::string& id) {
  auto* it = find(id);
  if (it == nullptr || it->state != state::down || ending_)
    return false;
  it->wanted = true;
  it->start_at = {};
  return true;
}

bool restart_plan::remove(const std::string& id) {
  auto* it = find(id);
  if (it == nullptr || it->state != state::down || it->wanted)
    return false;
  children_.erase(children_.begin() + (it - children_.data()));
  return true;
}

void restart_plan::end() {
  ending_ = true;
  for (auto& it : children_) {
    it.wanted = false;
    it.stop = it.state != state::down;
  }
}

std::optional<restart_plan::command> restart_plan::next(time_point now) {
  bool busy = false;
  if (auto stop = next_stop(now, busy))
    return stop;
  if (busy && options_.strategy != strategy::one_for_one)
    return std::nullopt;
  return next_start(now);
}

std::optional<restart_plan::time_point> restart_plan::wake_at() const {
  std::optional<time_point> earliest;
  for (const auto& it : children_) {
    bool timed = it.state == state::stopping || it.state == state::killing;
    if (!timed && !(it.state == state::down && it.wanted))
      continue;
    auto due = timed ? it.deadline : it.start_at;
    if (!earliest || due < *earliest)
      earliest = due;
  }
  return earliest;
}

bool restart_plan::finished() const {
  auto down = [](const child& it) { return it.state == state::down; };
  return ending_ && std::all_of(children_.begin(), children_.end(), down);
}

bool restart_plan::knows(const std::string& id) const {
  return std::any_of(children_.begin(), children_.end(),
                     [&](const child& it) { return it.id == id; });
}

restart_plan::child* restart_plan::find(const std::string& id) {
  auto it = std::find_if(children_.begin(), children_.end(),
                         [&](const child& candidate) { return candidate.id == id; });
  return it == children_.end() ? nullptr : &*it;
}

/// Answers an end that asks for a restart: counts it, and marks who must stop and who starts again.
void restart_plan::fail(child& failed, time_point now) {
  if (ending_)
    return;
  bool first = window_.count(now) == 0;
  if (!window_.record(now)) {
    gave_up_ = true;
    end();
    return;
  }
  if (first)
    delay_.reset();
  ++failed.restarts;
  failed.wanted = true;
  failed.start_at = first ? now : now + delay_.next();
  if (options_.strategy == strategy::one_for_one)
    return;
  bool behind = options_.strategy == strategy::one_for_all;
  for (auto& it : children_) {
    if (&it == &failed) {
      behind = true;
    } else if (behind && it.state != state::down) {
      it.wanted = it.restart != restart::temporary;
      it.start_at = now;
      it.stop = true;
    }
  }
}

/// Forgets a temporary child that is down and is not to come back.
void restart_plan::settle(std::size_t index) {
  const auto& it = children_[index];
  if (it.state == state::down && !it.wanted && it.restart == restart::temporary)
    children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(index));
}

std::optional<restart_plan::command> restart_plan::next_stop(time_point now, bool& busy) {
  for (auto it = children_.rbegin(); it != children_.rend(); ++it) {
    if (it->state == state::stopping && now >= it->deadline) {
      it->state = state::killing;
      it->deadline = now + kill_grace;
      return command{command::kind::kill, it->id};
    }
    if (it->state == state::killing && now >= it->deadline) {
      command result{command::kind::abandon, it->id};
      it->state = state::down;
      it->stop = false;
      settle(static_cast<std::size_t>(children_.rend() - it) - 1);
      return result;
    }
    if (it->state == state::stopping || it->state == state::killing) {
      busy = true;
      return std::nullopt; // one at a time: the next one is asked when this one is down
    }
    if (it->state == state::running && it->stop) {
      busy = true;
      it->state = state::stopping;
      it->deadline = now + it->shutdown;
      if (it->shutdown.count() > 0)
        return command{command::kind::stop, it->id};
      it->state = state::killing;
      it->deadline = now + kill_grace;
      return command{command::kind::kill, it->id};
    }
  }
  return std::nullopt;
}

std::optional<restart_plan::command> restart_plan::next_start(time_point now) {
  for (auto& it : children_) {
    if (it.state != state::down || !it.wanted)
      continue;
    if (it.start_at <= now) {
      it.state = state::starting;
      return command{command::kind::start, it.id};
    }
    if (options_.strategy != strategy::one_for_one)
      break; // those behind it are started after it
  }
  return std::nullopt;
}

} // namespace fly::actors
