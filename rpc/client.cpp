#include "fly/rpc/client.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/channel.hpp"
#include "fly/cluster/wire.hpp"
#include "fly/rpc/admission.hpp"
#include "fly/rpc/answer_reader.hpp"
#include "fly/rpc/message.hpp"

namespace fly::rpc {

namespace {

using clock = std::chrono::steady_clock;

/// From how many calls under way at a member on the next one may wait for others to leave with it.
constexpr std::uint32_t crowded_from = 16;

/// How long one member is waited for, where another one may be asked, too.
std::chrono::steady_clock::duration attempt_time(const call& each) {
  if (each.traits.attempt_max.count() > 0)
    return each.traits.attempt_max;
  return (each.deadline - each.begun) / 3;
}

/// What is sent along: a member that does not know of it would take it for an argument.
std::string_view trace_for(const call& each, const route& to) {
  if (each.traits.trace.empty() || !to.offered->contains(trace_feature))
    return {};
  return each.traits.trace;
}

caf::expected<std::uint64_t> no_more_calls() {
  return make_error(errc::shutting_down, "the endpoint has closed, or its node has left");
}

} // namespace

client::client(std::size_t calls_max, server& local)
    : local_(local), random_(std::random_device{}()), table_(calls_max),
      routes_(std::make_shared<const routes>()) {}

std::uint64_t client::start(call&& begun, answer_reader* own) {
  if (auto refused = check_name(begun.name)) { // no member takes the frame
    begun.reply(std::move(refused));
    return 0;
  }
  std::optional<handoff> what;
  std::optional<call> over;
  caf::expected<std::uint64_t> id{std::uint64_t{0}};
  {
    std::lock_guard guard{mutex_};
    id = closed_ ? no_more_calls() : table_.add(begun);
    budget_.called();
    if (id) {
      auto* each = table_.find(*id);
      if (each->traits.not_before > each->begun)
        each->due = each->traits.not_before;
      else
        what = choose(*id, each->begun, over);
    }
  }
  if (!id) {
    begun.reply(id.error());
    return 0;
  }
  if (over)
    over->reply(over->refusal);
  hand_over(std::move(what), own);
  return *id;
}

void client::attempt(std::uint64_t id) {
  std::optional<handoff> what;
  std::optional<call> over;
  {
    std::lock_guard guard{mutex_};
    what = choose(id, clock::now(), over);
  }
  if (over)
    over->reply(over->refusal);
  hand_over(std::move(what));
}

/// Hands the call over, or to the next member where that fails, until somebody has it or it waits.
void client::hand_over(std::optional<handoff> what, answer_reader* own) {
  if (!what)
    return;
  if (what->here)
    run_here(std::move(*what));
  else if (!send(*what, own))
    attempt(what->id);
}

/// Chooses a member for a waiting call. The caller has the lock.
std::optional<client::handoff> client::choose(std::uint64_t id, time_point now,
                                              std::optional<call>& over) {
  auto* each = table_.find(id);
  if (each == nullptr || each->state != call_state::waiting)
    return std::nullopt;
  const auto* to = routes_->pick(
      {each->whom, each->name, each->wanted.fingerprint, each->refused, now}, random());
  if (to != nullptr)
    return prepare(*each, *to, now);
  if (each->refused.empty())
    each->due = time_point::max();
  else if (each->refusal == errc::overloaded && !(each->traits.idempotent && budget_.take()))
    over = table_.take(id);
  else {
    table_.rest(id, now, random());
    if (each->refusal == errc::overloaded)
      each->due = std::max(each->due, now + retry_after_of(each->refusal));
  }
  return std::nullopt;
}

client::handoff client::prepare(call& each, const route& to, time_point now) {
  auto via = to.self ? static_cast<route_key>(this) : static_cast<route_key>(to.link.get());
  handoff result;
  result.id = each.id;
  result.attempt = table_.sending(each.id, via, to.who.id);
  result.sent_as = each.sent_as;
  result.arguments = each.arguments;
  result.crowded = to.load->calls.load(std::memory_order_relaxed) >= crowded_from;
  result.cast = each.traits.cast;
  each.busy = busy_mark{to.load};
  result.alone = !result.cast && !each.traits.idempotent &&
                 to.load->calls.load(std::memory_order_relaxed) == 1;
  if (each.traits.idempotent)
    each.attempt_until = now + attempt_time(each);
  if (each.trace)
    each.trace->handed_at = now;
  auto primary_only = each.whom.kind == target::kind::primary;
  if (!to.self) {
    auto budget = std::chrono::duration_cast<std::chrono::microseconds>(each.deadline - now);
    each.link = result.link = to.link;
    result.head = head_of(call_message{each.sent_as,
                                       each.wanted.fingerprint,
                                       budget,
                                       primary_only,
                                       each.name,
                                       {},
                                       each.trace != nullptr,
                                       each.traits.cast,
                                       trace_for(each, to)});
    return result;
  }
  auto parts = each.trace ? std::make_shared<call_parts>() : nullptr;
  result.here.reset(new request{each.name,
                                each.wanted.fingerprint,
                                primary_only,
                                {each.deadline, to.who, parts.get()},
                                nullptr,
                                parts});
  result.here->keeps = routes_; // `to` is one of them
  result.here->context.held = each.traits.held;
  if (!each.traits.trace.empty())
    result.here->trace = std::make_shared<const std::string>(each.traits.trace);
  return result;
}

void client::run_here(handoff what) {
  what.here->respond = [weak = weak_from_this(), sent_as = what.sent_as,
                        parts = what.here->parts](caf::expected<bytes> outcome) {
    if (auto self = weak.lock())
      self->answered(sent_as, self.get(), std::move(outcome), parts ? *parts : call_parts{});
  };
  auto permit = local_.run(std::move(*what.here), what.arguments);
  {
    std::lock_guard guard{mutex_};
    if (table_.is_current(what.id, what.attempt)) {
      table_.find(what.id)->permit = std::exchange(permit, nullptr);
      table_.sent(what.id, what.attempt);
    }
  }
  if (what.cast)
    complete_cast(what);
  else if (permit)
    permit->cancel(); // it has ended meanwhile: nobody waits for what runs
}

/// Returns false where nothing was sent and another member is to be tried.
bool client::send(const handoff& what, answer_reader* own) {
  auto when = what.crowded ? cluster::urgency::soon : cluster::urgency::now;
  if (own != nullptr && what.alone)
    own->begin(what.link, what.sent_as);
  auto refused = what.link->send(call_frame, cluster::bytes_of(what.head),
                                 cluster::bytes_of(*what.arguments), when);
  if (!refused) {
    {
      std::lock_guard guard{mutex_};
      table_.sent(what.id, what.attempt);
    }
    if (what.cast)
      complete_cast(what);
    // A link that closed while we were sending has not told us; one that closes later will.
    else if (!what.link->is_open())
      lose(what);
    return true;
  }
  if (own != nullptr)
    own->end();
  std::optional<call> over;
  {
    std::lock_guard guard{mutex_};
    if (!table_.is_current(what.id, what.attempt))
      return true;
    if (refused == errc::frame_too_large)
      over = table_.take(what.id);
    else
      table_.refuse(what.id, what.link.get(), refused);
  }
  if (over)
    over->reply(refused);
  return over.has_value();
}

void client::lose(const handoff& what) {
  std::optional<call> over;
  {
    std::lock_guard guard{mutex_};
    auto* each = table_.is_current(what.id, what.attempt) ? table_.find(what.id) : nullptr;
    bool again = each != nullptr && each->traits.idempotent &&
                 ask_again(what.id, lost_with_link(*each, {}), clock::now());
    if (each != nullptr && !again)
      over = table_.take(what.id);
  }
  if (over)
    over->reply(lost_with_link(*over, {}));
}

void client::reroute(std::shared_ptr<const routes> now) {
  std::lock_guard guard{mutex_};
  routes_ = std::move(now);
  rerouted_ = true;
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
