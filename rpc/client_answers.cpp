// The second half of client.hpp: how calls end.
#include <utility>

#include "fly/actors/copy_bytes.hpp"
#include "fly/actors/error.hpp"
#include "fly/cluster/channel.hpp"
#include "fly/cluster/wire.hpp"
#include "fly/rpc/admission.hpp"
#include "fly/rpc/client.hpp"
#include "fly/rpc/message.hpp"

namespace fly::rpc {

namespace {

using clock = std::chrono::steady_clock;

/// Longer results are copied and decoded later: what comes behind them on the link waits meanwhile.
constexpr std::size_t sunk_bytes_max = 128 * 1024;

/// Returns whether another member can be asked, or the same one later: nothing ran.
bool can_go_elsewhere(const caf::error& reason) {
  if (details_of(reason).contains(returned_detail))
    return false;
  if (reason == errc::not_primary || reason == errc::shutting_down)
    return true;
  return effect_of(reason) == effect::nothing_ran &&
         details_of(reason).contains(not_started_detail);
}

/// Ends a sent call at the other side. Returns whether it certainly had not begun.
bool withdraw(const call& ended) {
  if (!ended.link)
    return ended.permit && ended.permit->cancel();
  ended.link->send(cancel_frame, cluster::bytes_of(head_of(cancel_message{ended.sent_as})));
  return false;
}

caf::error with_both_signatures(const call& ended, const caf::error& reason) {
  if (reason != errc::signature_mismatch || ended.wanted.text.empty() ||
      details_of(reason).contains(returned_detail))
    return reason;
  return make_error(errc::signature_mismatch,
                    text_of(reason) + " by " + ended.via_id + " and called as " + ended.wanted.text,
                    details_of(reason));
}

} // namespace

void client::answered(std::uint64_t sent_as, route_key via, caf::expected<bytes> outcome,
                      call_parts parts) {
  std::uint64_t again = 0;
  auto over = [&]() -> std::optional<call> {
    std::lock_guard guard{mutex_};
    auto* each = table_.find_sent(sent_as, via);
    if (each == nullptr)
      return std::nullopt;
    auto id = each->id;
    if (closed_ || outcome || !goes_on(*each, outcome.error()))
      return table_.take(id);
    table_.refuse(id, via, outcome.error());
    again = id;
    return std::nullopt;
  }();
  if (again != 0)
    return attempt(again);
  if (!over)
    return; // too late: it has ended
  if (auto* member = over->busy.of())
    member->health.answered();
  over->busy = {}; // the next call of who is woken now is the only one again
  if (over->trace) {
    over->trace->answered_at = clock::now();
    over->trace->parts = std::move(parts);
  }
  if (outcome)
    over->reply(std::move(outcome));
  else
    over->reply(with_both_signatures(*over, outcome.error()));
}

/// Returns whether another member than the one that has the call, and those that have refused it,
/// announces its function. The caller has the lock.
bool client::is_served_elsewhere(const call& each) {
  auto refused = each.refused;
  refused.push_back(each.via_id);
  return routes_->is_served({each.whom, each.name, each.wanted.fingerprint, refused, {}});
}

/// Returns whether a call that was refused is to go to another member. The caller has the lock.
bool client::goes_on(const call& each, const caf::error& reason) {
  if (details_of(reason).contains(not_served_detail)) // a roll-out: it has just stopped, say
    return is_served_elsewhere(each);
  if (!can_go_elsewhere(reason))
    return false;
  if (reason != errc::overloaded)
    return true;
  if (auto* member = each.busy.of())
    member->health.full(clock::now(), retry_after_of(reason));
  return budget_.take(); // else the others would get the load of all that are full
}

/// Lets a sent call wait for its next attempt, where that may be. The caller has the lock.
bool client::ask_again(std::uint64_t id, caf::error reason, time_point now) {
  auto* each = table_.find(id);
  if (closed_ || each->deadline <= now || !budget_.take())
    return false;
  doubt(*each, reason);
  table_.refuse(id, each->via, std::move(reason));
  auto refused = each->refused; // others first, where there are any
  table_.rest(id, now, random());
  each->refused = std::move(refused);
  return true;
}

/// Takes calls away from members that leave them unanswered.
void client::withdraw_overdue(time_point now) {
  struct attempt {
    std::uint64_t sent_as;
    std::shared_ptr<cluster::channel> link;
    std::shared_ptr<ticket> permit;
  };
  std::vector<attempt> withdrawn;
  {
    std::lock_guard guard{mutex_};
    for (auto id : table_.overdue(now)) {
      auto* each = table_.find(id);
      if (auto* member = each->busy.of())
        member->health.failed(now);
      attempt last{each->sent_as, each->link, each->permit};
      if (ask_again(id, no_answer(*each, now, {}), now))
        withdrawn.push_back(std::move(last));
      else
        each->attempt_until = time_point::max();
    }
  }
  for (const auto& each : withdrawn) {
    if (each.link)
      each.link->send(cancel_frame, cluster::bytes_of(head_of(cancel_message{each.sent_as})));
    else if (each.permit)
      each.permit->cancel(); // calls what watches it: never under the lock
  }
}

/// Ends a call that nobody waits for: somebody has it.
void client::complete_cast(const handoff& what) {
  std::optional<call> over;
  {
    std::lock_guard guard{mutex_};
    if (table_.is_current(what.id, what.attempt))
      over = table_.take(what.id);
  }
  if (over)
    over->reply(bytes{});
}

caf::error client::on_answer(const std::shared_ptr<cluster::channel>& from,
                             std::span<const std::byte> payload, const result_sink& sink) {
  auto message = parse_answer(payload);
  if (!message)
    return message.error();
  if (message->reason) {
    answered(message->id, from.get(), std::move(message->reason), std::move(message->parts));
    return {};
  }
  bytes result;
  if (sink && message->result.size() <= sunk_bytes_max)
    sink(characters(message->result));
  else
    actors::append_bytes(result, message->result.data(), message->result.size());
  answered(message->id, from.get(), std::move(result), std::move(message->parts));
  return {};
}

void client::on_link_down(const std::shared_ptr<cluster::channel>& which,
                          const caf::error& reason) {
  std::vector<call> over;
  {
    std::lock_guard guard{mutex_};
    auto now = clock::now();
    for (auto id : table_.repeatable(which.get()))
      ask_again(id, lost_with_link(*table_.find(id), text_of(reason)), now);
    over = table_.lose(which.get());
  }
  for (auto& each : over)
    each.reply(lost_with_link(each, text_of(reason)));
}

void client::give_up(call ended, time_point now, const std::string& regions) {
  if (auto* member = ended.busy.of(); member != nullptr && ended.deadline <= now)
    member->health.failed(now);
  if (ended.state != call_state::waiting && withdraw(ended))
    ended.reply(make_error(errc::expired, "the deadline passed before " + ended.name +
                                              " was started: all workers are busy"));
  else
    ended.reply(no_answer(ended, now, regions));
}

void client::end(std::uint64_t id) {
  std::optional<call> over;
  std::string regions;
  {
    std::lock_guard guard{mutex_};
    over = table_.take(id);
    if (over)
      regions = routes_->regions();
  }
  if (over)
    give_up(std::move(*over), clock::now(), regions);
}

void client::drive(time_point now) {
  withdraw_overdue(now);
  std::vector<call> over;
  std::vector<std::uint64_t> due;
  std::string regions;
  {
    std::lock_guard guard{mutex_};
    over = table_.expire(now);
    if (!over.empty())
      regions = routes_->regions();
    due = std::exchange(rerouted_, false) ? table_.changed() : table_.due(now);
  }
  for (auto& each : over)
    give_up(std::move(each), now, regions);
  for (auto id : due)
    attempt(id);
}

void client::close() {
  std::vector<call> over;
  {
    std::lock_guard guard{mutex_};
    closed_ = true;
    over = table_.drain();
  }
  for (auto& each : over) {
    if (each.state == call_state::waiting || withdraw(each))
      each.reply(make_error(errc::shutting_down, "the endpoint closed, or its node left, before " +
                                                     each.name + " was started"));
    else
      each.reply(make_error(errc::member_lost, "the endpoint closed, or its node left, before " +
                                                   each.via_id + " had answered " + each.name));
  }
}

} // namespace fly::rpc
