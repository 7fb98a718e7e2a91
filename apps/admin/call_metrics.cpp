#include "apps/admin/call_metrics.hpp"

#include <utility>

#include "fly/cluster/node.hpp"
#include "fly/rpc/endpoint.hpp"

namespace fly::admin {

namespace {

/// From a local function to a call around the world that waits.
const prometheus::Histogram::BucketBoundaries seconds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                                      0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                                      1,      2.5,     5,      10};

} // namespace

call_metrics::call_metrics(const rpc::endpoint& rpc)
    : rpc_(rpc), names_(rpc),
      total_(prometheus::BuildCounter()
                 .Name("fly_calls_total")
                 .Help("Calls that have ended, made here (caller) or asked for here (server)")
                 .Register(registry_)),
      duration_(prometheus::BuildHistogram()
                    .Name("fly_call_duration_seconds")
                    .Help("Time of calls from the start, or the arrival, to the outcome")
                    .Register(registry_)) {}

void call_metrics::record(const rpc::call_report& ended) {
  auto found = find({.function = names_.function(ended.name),
                     .region = region_of(ended),
                     .outcome = ended.reason ? code_of(ended.reason) : errc{},
                     .side = ended.side});
  found.total->Increment();
  found.duration->Observe(std::chrono::duration<double>(ended.took).count());
}

std::string call_metrics::region_of(const rpc::call_report& ended) {
  if (ended.whom == nullptr)
    return names_.region(ended.caller_region);
  switch (ended.whom->kind) {
  case rpc::target::kind::primary:
    return names_.region(rpc_.node().primary_region());
  case rpc::target::kind::member:
    return names_.region_of(ended.whom->name);
  case rpc::target::kind::region:
    break;
  }
  return names_.region(ended.whom->name);
}

call_metrics::series call_metrics::find(labels wanted) {
  std::lock_guard guard{mutex_};
  auto found = all_.find(wanted);
  if (found == all_.end() && all_.size() >= series_max) {
    wanted.function = wanted.region = known_names::other;
    found = all_.find(wanted);
  }
  if (found != all_.end())
    return found->second;
  prometheus::Labels shown{
      {"function", wanted.function},
      {"side", wanted.side == rpc::call_report::side::caller ? "caller" : "server"},
      {"outcome", wanted.outcome == errc{} ? "ok" : to_string(wanted.outcome)},
      {"region", wanted.region}};
  series made{&total_.Add(shown), &duration_.Add(shown, seconds)};
  all_.emplace(std::move(wanted), made);
  return made;
}

std::vector<prometheus::MetricFamily> call_metrics::collect() const {
  return registry_.Collect();
}

} // namespace fly::admin
