#include "tests/simulation/postgres.hpp"

#include <algorithm>
#include <utility>

#include "tests/simulation/world.hpp"

namespace fly::simulation {

using namespace std::chrono_literals;

namespace {

/// Machines of databases are counted from here on.
constexpr std::size_t first_index = 1000;

} // namespace

postgres::postgres(world& all, std::string region, std::size_t index, bool primary)
    : world_(all), in_recovery_(!primary) {
  host_.index = first_index + index;
  host_.id = "db-" + region;
  host_.region = std::move(region);
  restart();
}

repo::lsn postgres::reached() const noexcept {
  if (!in_recovery_)
    return repo::lsn{flush_};
  return repo::lsn{log_.empty() ? 0x1000 : log_.back()->end};
}

bool postgres::lock(const std::string& what, std::uint64_t owner) {
  return locks_.try_emplace(what, owner).first->second == owner;
}

void postgres::unlock(std::uint64_t owner) {
  std::erase_if(locks_, [owner](const auto& entry) { return entry.second == owner; });
}

void postgres::append(std::shared_ptr<const log_record> what) {
  auto known = rows_.timelines;
  if (what->apply)
    what->apply(rows_);
  if (known != rows_.timelines || timeline_ != what->timeline)
    history_changed = now();
  timeline_ = std::max(timeline_, what->timeline);
  if (what->number != 0)
    applied_.try_emplace(what->number, now());
  if (what->xid != 0)
    rows_.xids.insert(what->xid);
  last_xid_ = std::max(last_xid_, what->xid);
  log_.push_back(std::move(what));
}

repo::position postgres::commit(std::uint64_t xid, std::function<void(tables&)> apply,
                                std::uint64_t number) {
  auto end = flush_ + static_cast<std::uint64_t>(world_.random.between(48, 400));
  append(std::make_shared<const log_record>(
      log_record{timeline_, flush_, end, xid, number, std::move(apply)}));
  flush_ = end;
  // The flush position may stand inside the next record of another session.
  if (world_.random.percent(10))
    flush_ += static_cast<std::uint64_t>(world_.random.between(1, 40));
  return {system, timeline_, repo::lsn{flush_}, xid};
}

moment postgres::applied_at(std::uint64_t number) const {
  auto found = applied_.find(number);
  return found == applied_.end() ? now() : found->second;
}

void postgres::crash() {
  world_.log.add(host_.id, "crashes");
  host_.powered = false;
  host_.frozen = false;
  ++host_.life;
  locks_.clear();
  disturbed = now();
}

void postgres::restart() {
  host_.powered = true;
  started_us_ = std::chrono::duration_cast<std::chrono::microseconds>(now()).count() + 1'000'000;
  if (!in_recovery_)
    replayed_.reset();
  flush_ = std::max(flush_, log_.empty() ? flush_ : log_.back()->end);
  disturbed = now();
}

void postgres::promote(std::uint32_t fresh) {
  replayed_ = reached();
  flush_ = replayed_->bytes();
  in_recovery_ = false;
  timeline_ = fresh;
  append(std::make_shared<const log_record>( // the end of recovery
      log_record{timeline_, flush_, flush_ + 42}));
  flush_ += 42;
}

void postgres::rebuild(const postgres& source) {
  crash();
  rebuilt = history_changed = now();
  in_recovery_ = true;
  timeline_ = source.timeline_;
  log_ = source.log_;
  rows_ = source.rows_;
  applied_.clear();
  for (const auto& [number, times] : rows_.orders)
    applied_.emplace(number, now());
  last_xid_ = source.last_xid_;
  replayed_ = reached();
  world_.log.add(host_.id, "is rebuilt as a replica of " + source.host_.id);
  restart();
}

bool postgres::follows(const postgres& source) const {
  return in_recovery_ && source.log_.size() >= log_.size() &&
         (log_.empty() || source.log_[log_.size() - 1] == log_.back());
}

void postgres::replay_from(const postgres& source, std::size_t records_max) {
  const auto& whole = source.log_;
  if (!follows(source))
    return; // it has what the other one never had
  if (timeline_ < source.timeline_)
    history_changed = now();
  timeline_ = std::max(timeline_, source.timeline_);
  for (std::size_t i = 0; i < records_max && log_.size() < whole.size(); ++i)
    append(whole[log_.size()]);
  replayed_ = reached();
}

// -- all of them ----------------------------------------------------------------------------------

postgres_cluster::postgres_cluster(world& all, const std::vector<std::string>& regions)
    : world_(all) {
  for (std::size_t i = 0; i < regions.size(); ++i) {
    servers_.push_back(std::make_unique<postgres>(all, regions[i], i, i == 0));
    replicate(i);
  }
}

postgres& postgres_cluster::of(std::string_view region) {
  auto found = std::find_if(servers_.begin(), servers_.end(),
                            [region](const auto& each) { return each->region() == region; });
  return **found;
}

/// Every replica asks for more, now and then; how late it is is a matter of chance.
void postgres_cluster::replicate(std::size_t which) {
  auto& own = *servers_[which];
  auto& source = primary();
  bool can = own.in_recovery() && own.is_up() && !own.host().frozen && source.is_up() &&
             !source.host().frozen && &own != &source && now() >= own.stalled_until &&
             !world_.net.is_cut(source.host(), own.host()) &&
             !world_.net.is_cut(own.host(), source.host());
  if (can)
    own.replay_from(source, world_.random.percent(80) ? 100 : 1);
  else
    own.disturbed = now();
  auto pause =
      world_.random.percent(90) ? world_.random.time(1ms, 20ms) : world_.random.time(20ms, 300ms);
  world_.when.after(pause, nullptr, [this, which] { replicate(which); });
}

void postgres_cluster::promote(std::string_view region) {
  auto found = std::find_if(servers_.begin(), servers_.end(),
                            [region](const auto& each) { return each->region() == region; });
  auto& fresh = **found;
  auto before = fresh.timeline();
  switches_[++last_timeline_] = {before, fresh.reached()};
  fresh.promote(last_timeline_);
  primary_ = static_cast<std::size_t>(found - servers_.begin());
  world_.log.add(fresh.host().id, "is promoted: timeline " + std::to_string(last_timeline_) +
                                      " from " + to_string(*switches_[last_timeline_].left_at) +
                                      " of timeline " + std::to_string(before));
}

} // namespace fly::simulation
