#include "fly/rpc/call_table.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "fly/actors/error.hpp"

namespace fly::rpc {

namespace {

using namespace std::chrono_literals;

constexpr int place_bits = 32;

/// How many places an empty table keeps.
constexpr std::size_t kept_places_max = 1024;

constexpr actors::backoff_options pauses{10ms, 500ms, 2.0};

} // namespace

caf::expected<std::uint64_t> call_table::add(call& begun) {
  if (size_ >= calls_max_)
    return make_error(errc::overloaded,
                      std::to_string(calls_max_) + " calls are under way, the limit");
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(calls_.size()));
    calls_.emplace_back();
  }
  auto place = free_.back();
  free_.pop_back();
  ++size_;
  auto& fresh = calls_[place];
  fresh = std::move(begun);
  fresh.id = next_number(place);
  return fresh.id;
}

std::uint64_t call_table::next_number(std::uint32_t place) noexcept {
  if (++last_turn_ == 0)
    ++last_turn_;
  return std::uint64_t{last_turn_} << place_bits | place;
}

call* call_table::find(std::uint64_t id) {
  auto place = static_cast<std::uint32_t>(id);
  if (id == 0 || place >= calls_.size() || calls_[place].id != id)
    return nullptr;
  return &calls_[place];
}

/// Frees the place of a call that was moved out.
void call_table::free(std::size_t place) {
  calls_[place].id = 0;
  free_.push_back(static_cast<std::uint32_t>(place));
  --size_;
}

std::uint32_t call_table::sending(std::uint64_t id, route_key via, std::string via_id) {
  auto* each = find(id);
  assert(each != nullptr);
  assert(each->state == call_state::waiting);
  each->state = call_state::sending;
  each->via = via;
  each->via_id = std::move(via_id);
  if (each->trace)
    each->trace->member = each->via_id;
  each->due = time_point::max();
  each->sent_as = each->attempt == 0 ? id : next_number(static_cast<std::uint32_t>(id));
  return ++each->attempt;
}

void call_table::sent(std::uint64_t id, std::uint32_t attempt) {
  if (is_current(id, attempt))
    find(id)->state = call_state::sent;
}

bool call_table::is_current(std::uint64_t id, std::uint32_t attempt) {
  auto* each = find(id);
  return each != nullptr && each->state != call_state::waiting && each->attempt == attempt;
}

call* call_table::find_sent(std::uint64_t sent_as, route_key via) {
  auto place = static_cast<std::uint32_t>(sent_as);
  if (place >= calls_.size())
    return nullptr;
  auto& each = calls_[place];
  bool it = each.id != 0 && each.state != call_state::waiting && each.sent_as == sent_as;
  return it && each.via == via ? &each : nullptr;
}

bool call_table::refuse(std::uint64_t id, route_key via, caf::error refusal) {
  auto* each = find(id);
  if (each == nullptr || each->state == call_state::waiting || each->via != via)
    return false;
  each->state = call_state::waiting;
  each->refused.push_back(std::move(each->via_id));
  each->refusal = std::move(refusal);
  each->via = nullptr;
  each->link = nullptr;
  each->permit = nullptr;
  each->busy = {};
  each->due = time_point::min();
  if (each->trace)
    each->trace->handed_at.reset();
  return true;
}

void call_table::rest(std::uint64_t id, time_point now, std::uint64_t seed) {
  auto* each = find(id);
  if (each == nullptr || each->state != call_state::waiting)
    return;
  if (!each->pause)
    each->pause = std::make_unique<actors::backoff>(pauses, seed);
  each->refused.clear();
  each->due = now + each->pause->next();
}

std::optional<call> call_table::take(std::uint64_t id) {
  auto* each = find(id);
  if (each == nullptr)
    return std::nullopt;
  std::optional<call> result{std::move(*each)};
  free(static_cast<std::uint32_t>(id));
  return result;
}

template <class Claim>
std::vector<call> call_table::take_if(Claim claim) {
  std::vector<call> result;
  for (std::size_t place = 0; place < calls_.size(); ++place) {
    if (calls_[place].id == 0 || !claim(calls_[place]))
      continue;
    result.push_back(std::move(calls_[place]));
    free(place);
  }
  return result;
}

std::vector<call> call_table::lose(route_key via) {
  return take_if(
      [via](const call& each) { return each.state == call_state::sent && each.via == via; });
}

std::vector<call> call_table::expire(time_point now) {
  if (size_ == 0 && calls_.size() > kept_places_max) {
    std::vector<call>{}.swap(calls_); // what was asked in a flood must not be looked at for ever
    std::vector<std::uint32_t>{}.swap(free_);
  }
  return take_if([now](const call& each) { return each.deadline <= now; });
}

std::vector<call> call_table::drain() {
  return take_if([](const call&) { return true; });
}

template <class Claim>
std::vector<std::uint64_t> call_table::ids_of(Claim claim) const {
  std::vector<std::uint64_t> result;
  for (const auto& each : calls_)
    if (each.id != 0 && claim(each))
      result.push_back(each.id);
  return result;
}

std::vector<std::uint64_t> call_table::due(time_point now) const {
  return ids_of(
      [now](const call& each) { return each.state == call_state::waiting && each.due <= now; });
}

std::vector<std::uint64_t> call_table::repeatable(route_key via) const {
  return ids_of([via](const call& each) {
    return each.traits.idempotent && each.state == call_state::sent && each.via == via;
  });
}

std::vector<std::uint64_t> call_table::overdue(time_point now) const {
  return ids_of([now](const call& each) {
    return each.state == call_state::sent && each.attempt_until <= now;
  });
}

std::vector<std::uint64_t> call_table::changed() {
  std::vector<std::uint64_t> result;
  for (auto& each : calls_)
    if (each.id != 0 && each.state == call_state::waiting) {
      each.refused.clear();
      result.push_back(each.id);
    }
  return result;
}

std::size_t call_table::waiting() const {
  return static_cast<std::size_t>(std::count_if(calls_.begin(), calls_.end(), [](const call& each) {
    return each.id != 0 && each.state == call_state::waiting;
  }));
}

/// What is told of an error within another one, which has an effect of its own.
std::string code_and_text_of(const caf::error& reason) {
  return to_string(code_of(reason)) + ": " + text_of(reason);
}

caf::error no_answer(const call& ended, call_table::time_point now, const std::string& regions) {
  auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(now - ended.begun);
  auto within = " within " + std::to_string(spent.count()) + " ms";
  if (ended.state != call_state::waiting)
    return make_error(errc::timeout,
                      "no answer to " + ended.name + " from " + ended.via_id + within);
  auto last =
      ended.refusal ? "; the last answer was " + code_and_text_of(ended.refusal) : std::string{};
  auto seen = within + "; regions seen: " + regions + last;
  switch (ended.whom.kind) {
  case target::kind::region:
    return make_error(errc::no_node_in_region,
                      "no member in region " + ended.whom.name + " for " + ended.name + seen);
  case target::kind::primary:
    if (ended.refusal == errc::not_leader)
      return make_error(errc::not_leader, "no leader for " + ended.name + seen);
    return make_error(errc::no_primary, "no primary for " + ended.name + seen);
  case target::kind::member:
    if (ended.refusal) // it is there
      return make_error(code_of(ended.refusal),
                        ended.whom.name + " refused " + ended.name + within + ": " +
                            text_of(ended.refusal),
                        details_of(ended.refusal));
  }
  return make_error(errc::no_such_member,
                    "no member " + ended.whom.name + " for " + ended.name + seen);
}

void doubt(call& each, caf::error reason) {
  each.reply = [reason = std::move(reason),
                reply = std::move(each.reply)](caf::expected<bytes> outcome) {
    if (outcome || effect_of(outcome.error()) != effect::nothing_ran)
      return reply(std::move(outcome));
    reply(make_error(code_of(reason),
                     text_of(reason) + "; asked again: " + code_and_text_of(outcome.error()),
                     details_of(reason)));
  };
}

caf::error lost_with_link(const call& ended, const std::string& why) {
  return make_error(errc::member_lost, "the connection to " + ended.via_id + " was lost while " +
                                           ended.name + " may have been running there" +
                                           (why.empty() ? why : ": " + why));
}

} // namespace fly::rpc
