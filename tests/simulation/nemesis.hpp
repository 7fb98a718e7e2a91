#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/random.hpp"
#include "tests/simulation/virtual_time.hpp"

namespace fly::simulation {

class cluster_run;
struct machine;

/// What befalls a cluster: faults at random times, of random kinds, for random times.
class nemesis {
public:
  nemesis(cluster_run& whom, random_source random) : run_(whom), random_(random) {}

  /// Plans all faults between now and `until`.
  void begin(moment until);

  /// Ends all faults and starts what is down.
  void end();

private:
  void strike();
  machine& somebody();
  moment lasting();
  void kill();
  void freeze();
  void cut_machines();
  void cut_region();
  void reset();
  void silence_names();
  void disturb_clock();
  void worsen_network();
  void deploy();
  void hurt_database();
  void promote();

  cluster_run& run_;
  random_source random_;
  int deploys_ = 0;
  bool over_ = false;
};

} // namespace fly::simulation
