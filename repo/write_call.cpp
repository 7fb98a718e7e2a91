#include "fly/repo/write_call.hpp"

#include <limits>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

#include "fly/actors/backoff.hpp"
#include "fly/actors/error.hpp"
#include "fly/repo/write_reply.hpp"
#include "fly/rpc/endpoint.hpp"

namespace fly::repo {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

std::chrono::microseconds between(clock::time_point a, clock::time_point b) {
  return std::chrono::duration_cast<std::chrono::microseconds>(b - a);
}

/// What ends the stage that a write is in. Safe from any thread.
class stages {
public:
  /// Says how the stage that has just begun is ended; ends it at once where the time is over.
  void began(std::size_t stage, actors::expire end) {
    {
      std::lock_guard guard{mutex_};
      if (stage < stage_)
        return; // it was complete before it was known here
      stage_ = stage;
      end_ = end;
      if (!over_)
        return;
    }
    end();
  }

  void expire() {
    actors::expire end;
    {
      std::lock_guard guard{mutex_};
      over_ = true;
      end = end_;
    }
    if (end)
      end();
  }

private:
  std::mutex mutex_;
  std::size_t stage_ = 0; // guarded by mutex_
  actors::expire end_;    // guarded by mutex_
  bool over_ = false;     // guarded by mutex_
};

/// The wait comes after all attempts.
constexpr std::size_t wait_stage = std::numeric_limits<std::size_t>::max();

/// Pauses of a write with a key before it is tried again, but for the first time.
constexpr actors::backoff_options pauses{10ms, 500ms, 2.0};

/// The write whose call this thread is beginning; null for none. What ends it meanwhile is an
/// answer within `attempt`.
thread_local const void* beginning = nullptr;

struct under_way {
  write_call how;
  std::string name;
  rpc::signature wanted;
  rpc::bytes arguments; // kept where it may be tried again
  std::size_t attempts = 0;
  std::optional<actors::backoff> pause{}; // set with the second try
  caf::error doubt; // of the first copy of which nobody knows what became of it; empty for none
  clock::time_point begun = clock::now();
  actors::completion<raw_committed> done;
  stages now;
};

void wait_until_visible(const std::shared_ptr<under_way>& call, raw_committed answer) {
  auto arrived = clock::now();
  auto where = answer.report.where;
  auto shared = std::make_shared<raw_committed>(std::move(answer));
  auto end = call->how.tracker->wait_for(
      where, call->how.deadline, [call, shared, arrived](caf::expected<caf::unit_t> outcome) {
        shared->report.visible = static_cast<bool>(outcome);
        if (!outcome)
          shared->report.late = outcome.error();
        shared->report.timing.until_visible = between(arrived, clock::now());
        call->done(std::move(*shared));
      });
  call->now.began(wait_stage, std::move(end));
}

void attempt(const std::shared_ptr<under_way>& call, rpc::bytes arguments,
             clock::time_point not_before, rpc::answer_reader* own = nullptr);

/// Whether the ledger has answered: no copy of this write is committed, or will be.
bool is_settled(const caf::error& reason) {
  return reason == errc::key_fenced || reason == errc::key_reused;
}

/// Returns whether a write of which a copy may be committed is worth another try: its server or its
/// member is away, or full, for a moment. Not where it would end like this each time: what a
/// function was told of a call of its own, and returned, is the end of that function, and one that
/// ends its transaction itself does so past its key.
bool may_pass(const caf::error& reason) {
  auto said = details_of(reason);
  if (said.contains("ended_by") || said.contains(returned_detail))
    return false;
  return reason == errc::member_lost || reason == errc::outcome_unknown ||
         reason == errc::database_unavailable || reason == errc::overloaded;
}

/// Returns when a lost write is tried again: at once the first time, then after growing pauses.
/// Nothing where there is no time left, or where the try that was to wait has ended without that:
/// this node makes no call, and would be asked again and again within the same stack.
std::optional<clock::time_point> next_try(under_way& call) {
  if (call.pause && beginning == &call)
    return std::nullopt;
  auto now = clock::now();
  auto then = now;
  if (call.attempts > 1) {
    if (!call.pause)
      call.pause.emplace(pauses, std::random_device{}());
    then += call.pause->next();
  }
  return then < call.how.deadline ? std::optional{then} : std::nullopt;
}

/// Only the ledger knows whether the copy that was lost is committed; asking it is trying again.
/// As long as it has not answered, what ended a later copy says nothing of the earlier one.
void on_error(const std::shared_ptr<under_way>& call, caf::error reason) {
  const auto& key = call->how.key;
  bool unknown = effect_of(reason) == effect::unknown;
  if (key.empty() || is_settled(reason) || (!unknown && !call->doubt))
    return call->done(std::move(reason));
  if (may_pass(reason)) {
    if (auto then = next_try(*call)) {
      if (!call->doubt)
        call->doubt = std::move(reason);
      return attempt(call, call->arguments, *then);
    }
  }
  if (!unknown)
    reason =
        make_error(code_of(call->doubt), text_of(call->doubt) + "; asked again: " + text_of(reason),
                   details_of(call->doubt));
  auto details = details_of(reason);
  details.emplace("key", key);
  call->done(make_error(code_of(reason), text_of(reason), std::move(details)));
}

void on_answer(const std::shared_ptr<under_way>& call, caf::expected<rpc::bytes> answer) {
  if (!answer)
    return on_error(call, std::move(answer.error()));
  std::span<const char> value;
  auto head = decode_reply(*answer, value);
  if (!head)
    return call->done(std::move(head.error()));
  raw_committed result;
  result.value.assign(value.begin(), value.end());
  result.report.where = head->where;
  result.report.visible = head->ran_here || call->how.shared;
  result.report.repeated = head->repeated;
  result.report.timing.in_transaction = head->took;
  result.report.timing.to_primary = between(call->begun, clock::now()) - head->took;
  if (result.report.visible || !call->how.tracker)
    call->done(std::move(result));
  else
    wait_until_visible(call, std::move(result));
}

void attempt(const std::shared_ptr<under_way>& call, rpc::bytes arguments,
             clock::time_point not_before, rpc::answer_reader* own) {
  auto stage = ++call->attempts;
  const auto& how = call->how;
  const auto* outer = std::exchange(beginning, call.get());
  auto end = how.rpc->start(
      how.whom, call->name, call->wanted, std::move(arguments), how.deadline,
      [call](caf::expected<rpc::bytes> answer) { on_answer(call, std::move(answer)); }, how.trace,
      {.not_before = not_before}, own);
  beginning = outer;
  call->now.began(stage, std::move(end));
}

} // namespace

actors::expire start_write(const write_call& how, std::string_view name,
                           const rpc::signature& wanted, rpc::bytes arguments,
                           actors::completion<raw_committed> done) {
  auto call = std::make_shared<under_way>();
  call->how = how;
  call->how.own = nullptr;
  call->name = name;
  call->wanted = wanted;
  call->done = std::move(done);
  if (!how.key.empty())
    call->arguments = arguments;
  attempt(call, std::move(arguments), {}, how.own);
  return [call] { call->now.expire(); };
}

} // namespace fly::repo
