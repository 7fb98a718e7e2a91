#pragma once

#include <compare>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include "apps/admin/known_names.hpp"
#include "fly/actors/error.hpp"
#include "fly/rpc/call_observer.hpp"

namespace fly::admin {

/// Counts calls: fly_calls_total and fly_call_duration_seconds by function, side ("caller",
/// "server"), outcome ("ok", or the name of the fly::errc) and region: of the caller's side where
/// it was asked for, of the server's side where the caller is. Safe from any thread.
class call_metrics {
public:
  /// Most combinations of labels; later ones are counted as function and region "other".
  static constexpr std::size_t series_max = 5000;

  /// Borrows `rpc`, which outlives it.
  explicit call_metrics(const rpc::endpoint& rpc);

  /// Takes one call that has ended. Does not block but for a moment on its own locks.
  void record(const rpc::call_report& ended);

  /// Returns what was counted.
  std::vector<prometheus::MetricFamily> collect() const;

private:
  struct labels {
    std::string function;
    std::string region;
    errc outcome{}; // 0: ok
    enum rpc::call_report::side side{};
    friend auto operator<=>(const labels&, const labels&) = default;
  };
  struct series {
    prometheus::Counter* total;
    prometheus::Histogram* duration;
  };

  std::string region_of(const rpc::call_report& ended);
  series find(labels wanted);

  const rpc::endpoint& rpc_;
  known_names names_;
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& total_;
  prometheus::Family<prometheus::Histogram>& duration_;
  std::mutex mutex_;
  std::map<labels, series> all_; // guarded by mutex_; size <= series_max + those named other
};

} // namespace fly::admin
