#include "fly/repo/explain_write.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/rpc/current_call.hpp"

namespace fly::repo {

namespace {

using clock = std::chrono::steady_clock;

/// Adds what is known of the wait to what is known of the call.
void add_wait(rpc::explanation& to, const commit_report& commit, clock::time_point answered,
              clock::time_point waited, clock::time_point woken) {
  add_part(to, replication_part, rpc::between(answered, waited));
  add_part(to, wake_part, rpc::between(waited, woken));
  if (!commit.visible) {
    to.stopped_in = replication_part;
    to.late = fly::to_string(commit.late);
  }
}

} // namespace

rpc::explanation explain_write_call(const rpc::endpoint& rpc, std::shared_ptr<lsn_tracker> tracker,
                                    rpc::explain_request asked) {
  using namespace std::chrono_literals;
  auto trace = std::make_shared<rpc::call_trace>();
  auto waited = std::make_shared<clock::time_point>(); // written before the caller is woken
  rpc::signature wanted{std::move(asked.signature)};
  auto begun = clock::now();
  auto deadline = rpc::deadline_of(asked, begun);
  write_call how{.rpc = &rpc,
                 .tracker = std::move(tracker),
                 .deadline = deadline,
                 .whom = {asked.kind, std::move(asked.whom)},
                 .trace = trace};
  auto outcome =
      rpc::ask_cancellable<raw_committed>(deadline, [&](actors::completion<raw_committed> done) {
        return start_write(how, asked.name, wanted, std::move(asked.arguments),
                           [waited, done = std::move(done)](caf::expected<raw_committed> value) {
                             *waited = clock::now();
                             done(std::move(value));
                           });
      });
  auto woken = clock::now();
  if (!outcome)
    return rpc::account_for(*trace, begun, woken, outcome.error());
  const auto& commit = outcome->report;
  bool has_waited = commit.late || commit.timing.until_visible > 0us;
  auto result =
      rpc::account_for(*trace, begun, has_waited ? *trace->answered_at : woken, caf::error{});
  if (has_waited)
    add_wait(result, commit, *trace->answered_at, *waited, woken);
  result.position = to_string(commit.where);
  result.visible = commit.visible;
  result.result = std::move(outcome->value);
  return result;
}

} // namespace fly::repo
