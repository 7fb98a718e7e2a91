#include "fly/rpc/client.hpp"

#include <random>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/channel.hpp"
#include "fly/cluster/wire.hpp"
#include "fly/rpc/message.hpp"
#include "fly/rpc/server.hpp"

namespace fly::rpc {

namespace {

using clock = std::chrono::steady_clock;

/// Returns whether another member can be asked, or the same one later: nothing ran.
bool can_go_elsewhere(const caf::error& reason) {
  if (reason == errc::not_primary || reason == errc::shutting_down)
    return true;
  return effect_of(reason) == effect::nothing_ran &&
         details_of(reason).contains(not_started_detail);
}

caf::error with_both_signatures(const call& ended, const caf::error& reason) {
  if (reason != errc::signature_mismatch || ended.wanted.text.empty())
    return reason;
  return make_error(errc::signature_mismatch,
                    text_of(reason) + " by " + ended.via_id + " and called as " + ended.wanted.text,
                    details_of(reason));
}

} // namespace

client::client(std::size_t calls_max, server& local)
    : local_(local), random_(std::random_device{}()), table_(calls_max),
      routes_(std::make_shared<const routes>()) {}

std::uint64_t client::start(call begun) {
  caf::expected<std::uint64_t> id{make_error(errc::shutting_down, "the endpoint is closing")};
  {
    std::lock_guard guard{mutex_};
    if (!closed_)
      id = table_.add(begun);
  }
  if (!id) {
    begun.reply(id.error());
    return 0;
  }
  attempt(*id);
  return *id;
}

/// Hands the call to a member, to the next one where that fails, until somebody has it or it waits.
void client::attempt(std::uint64_t id) {
  for (;;) {
    std::optional<call> over;
    auto what = choose(id, over);
    if (over)
      over->reply(over->refusal);
    if (!what)
      return;
    if (what->to.self)
      return run_here(id, *what);
    if (send(id, *what))
      return;
  }
}

std::optional<client::handoff> client::choose(std::uint64_t id, std::optional<call>& over) {
  std::lock_guard guard{mutex_};
  auto* each = table_.find(id);
  if (each == nullptr || each->state != call_state::waiting)
    return std::nullopt;
  const auto* to =
      routes_->pick({each->whom, each->name, each->wanted.fingerprint, each->refused}, random());
  if (to == nullptr) {
    if (each->refused.empty())
      each->due = time_point::max();
    else if (each->refusal == errc::overloaded)
      over = table_.take(id);
    else
      table_.rest(id, clock::now(), random());
    return std::nullopt;
  }
  auto via = to->self ? static_cast<route_key>(this) : static_cast<route_key>(to->link.get());
  auto attempt = table_.sending(id, via, to->who.id);
  each->busy = busy_mark{to->in_flight};
  if (each->trace)
    each->trace->handed_at = clock::now();
  if (!to->self)
    each->cancel = [link = to->link, id] {
      link->send(cancel_frame, cluster::bytes_of(head_of(cancel_message{id})));
      return false; // it may have begun
    };
  return handoff{*to,
                 attempt,
                 each->name,
                 each->wanted.fingerprint,
                 each->whom.kind == target::kind::primary,
                 each->trace != nullptr,
                 each->deadline,
                 each->arguments};
}

void client::run_here(std::uint64_t id, const handoff& what) {
  auto parts = what.timed ? std::make_shared<call_parts>() : nullptr;
  auto respond = [weak = weak_from_this(), id, parts](caf::expected<bytes> outcome) {
    if (auto self = weak.lock())
      self->answered(id, self.get(), std::move(outcome), parts ? *parts : call_parts{});
  };
  auto permit = local_.run({what.name,
                            what.fingerprint,
                            what.primary_only,
                            {what.deadline, what.to.who, parts.get()},
                            std::move(respond),
                            parts},
                           what.arguments);
  std::lock_guard guard{mutex_};
  if (!table_.is_current(id, what.attempt))
    return;
  table_.find(id)->cancel = [permit] { return permit->cancel(); };
  table_.sent(id, what.attempt);
}

/// Returns false where nothing was sent and another member is to be tried.
bool client::send(std::uint64_t id, const handoff& what) {
  auto budget = std::chrono::duration_cast<std::chrono::microseconds>(what.deadline - clock::now());
  call_message message{id, what.fingerprint, budget, what.primary_only, what.name, {}, what.timed};
  auto refused = what.to.link->send(call_frame, cluster::bytes_of(head_of(message)),
                                    cluster::bytes_of(*what.arguments));
  if (!refused) {
    {
      std::lock_guard guard{mutex_};
      table_.sent(id, what.attempt);
    }
    // A link that closed while we were sending has not told us; one that closes later will.
    if (!what.to.link->is_open())
      lose(id, what);
    return true;
  }
  std::optional<call> over;
  {
    std::lock_guard guard{mutex_};
    if (!table_.is_current(id, what.attempt))
      return true;
    if (refused == errc::frame_too_large)
      over = table_.take(id);
    else
      table_.refuse(id, what.to.link.get(), refused);
  }
  if (over)
    over->reply(refused);
  return over.has_value();
}

void client::lose(std::uint64_t id, const handoff& what) {
  std::optional<call> over;
  {
    std::lock_guard guard{mutex_};
    if (table_.is_current(id, what.attempt))
      over = table_.take(id);
  }
  if (over)
    over->reply(lost_with_link(*over, {}));
}

void client::answered(std::uint64_t id, route_key via, caf::expected<bytes> outcome,
                      call_parts parts) {
  std::optional<call> over;
  {
    std::lock_guard guard{mutex_};
    if (!closed_ && !outcome && can_go_elsewhere(outcome.error())) {
      if (!table_.refuse(id, via, outcome.error()))
        return;
    } else {
      over = table_.answer(id, via);
      if (!over)
        return; // too late: it has ended
    }
  }
  if (!over)
    return attempt(id);
  if (over->trace) {
    over->trace->answered_at = clock::now();
    over->trace->parts = std::move(parts);
  }
  if (outcome)
    over->reply(std::move(outcome));
  else
    over->reply(with_both_signatures(*over, outcome.error()));
}

caf::error client::on_answer(const std::shared_ptr<cluster::channel>& from,
                             std::span<const std::byte> payload) {
  auto message = parse_answer(payload);
  if (!message)
    return message.error();
  if (message->reason) {
    answered(message->id, from.get(), std::move(message->reason), std::move(message->parts));
  } else {
    auto result = characters(message->result);
    answered(message->id, from.get(), bytes{result.begin(), result.end()},
             std::move(message->parts));
  }
  return {};
}

void client::on_link_down(const std::shared_ptr<cluster::channel>& which,
                          const caf::error& reason) {
  std::vector<call> over;
  {
    std::lock_guard guard{mutex_};
    over = table_.lose(which.get());
  }
  for (auto& each : over)
    each.reply(lost_with_link(each, text_of(reason)));
}

void client::give_up(call ended, time_point now, const std::string& regions) {
  if (ended.state != call_state::waiting && ended.cancel && ended.cancel())
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

void client::reroute(std::shared_ptr<const routes> now) {
  std::lock_guard guard{mutex_};
  routes_ = std::move(now);
  rerouted_ = true;
}

void client::drive(time_point now) {
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
    if (each.state == call_state::waiting || (each.cancel && each.cancel()))
      each.reply(make_error(errc::shutting_down,
                            "the endpoint closed before " + each.name + " was started"));
    else
      each.reply(make_error(errc::member_lost, "the endpoint closed before " + each.via_id +
                                                   " had answered " + each.name));
  }
}

std::size_t client::calls() const {
  std::lock_guard guard{mutex_};
  return table_.size();
}

std::size_t client::waiting() const {
  std::lock_guard guard{mutex_};
  return table_.waiting();
}

std::uint64_t client::random() noexcept {
  // splitmix64: any thread takes the next number.
  auto x = random_.fetch_add(0x9e3779b97f4a7c15) + 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

} // namespace fly::rpc
