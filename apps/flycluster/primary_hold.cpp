#include "apps/flycluster/primary_hold.hpp"

#include <algorithm>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::apps {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

primary_hold::primary_hold(const visit& here, rpc::primary_report before, std::string witness,
                           milliseconds longest)
    : here_(here), before_(std::move(before)), witness_(std::move(witness)), longest_(longest),
      ids_(before_.group.begin(), before_.group.end()) {}

primary_hold::~primary_hold() {
  stop();
}

primary_hold::round primary_hold::ask_all(milliseconds patience) {
  round result;
  for (const auto& id : ids_) {
    auto told = rpc_member(here_.rpc.with({.timeout = patience}), id, repo::hold_writes,
                           std::int64_t{longest_.count()}, before_.timeline);
    if (!told) {
      result.missing = id + " does not hold its writes: " + text_of(told.error());
      continue;
    }
    if (!told->held && !told->waits)
      result.missing = id + " does not hold the commits: " + told->reason;
    result.any = result.any || told->held || told->waits;
    result.kept = result.kept || told->kept;
    auto where = repo::parse_position(told->position);
    if (told->held && where)
      result.where = *where;
  }
  return result;
}

caf::expected<repo::position> primary_hold::begin() {
  auto deadline = clock::now() + longest_;
  for (;;) {
    auto now = ask_all(longest_);
    if (!now.missing.empty())
      return make_error(errc::no_primary, now.missing);
    if (now.where.system != 0)
      return now.where;
    if (clock::now() > deadline)
      return make_error(errc::timeout, "the commits that had begun have not ended in time");
    std::this_thread::sleep_for(milliseconds{20});
  }
}

/// Whoever sees the old group may know of somebody new in it.
void primary_hold::find_newcomers() {
  std::set<std::string> asked = ids_;
  asked.insert(witness_);
  for (const auto& id : asked) {
    auto seen = rpc_member(here_.rpc.with({.timeout = longest_ / 20}), id, rpc::primary);
    if (seen && seen->timeline == before_.timeline)
      ids_.insert(seen->group.begin(), seen->group.end());
  }
}

caf::error primary_hold::renew() {
  find_newcomers();
  auto now = ask_all(longest_ / 10);
  // A database that was stopped or is no primary any more is not held, and takes no writes.
  if (now.any && !now.kept)
    return make_error(errc::outcome_unknown,
                      "for a while nobody held the commits in the database of " + before_.region +
                          ": what was written there then may be lost");
  return {};
}

void primary_hold::keep() {
  keeper_ = std::thread{[this] {
    std::unique_lock lock{mutex_};
    auto pause = std::min(milliseconds{1000}, longest_ / 4);
    while (!over_.wait_for(lock, pause, [this] { return stopping_; })) {
      lock.unlock();
      if (auto reason = renew(); reason && !broken_)
        broken_ = std::move(reason);
      lock.lock();
    }
  }};
}

caf::error primary_hold::stop() {
  {
    std::lock_guard guard{mutex_};
    stopping_ = true;
  }
  over_.notify_all();
  if (keeper_.joinable())
    keeper_.join();
  return broken_;
}

void primary_hold::let_go() {
  for (const auto& id : ids_)
    rpc_member(here_.rpc.with({.timeout = here_.timeout}), id, repo::hold_writes, std::int64_t{0},
               std::uint32_t{0});
}

} // namespace fly::apps
