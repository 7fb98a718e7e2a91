// One node of a shop, compiled twice: as version 1, and as version 2, which serves both signatures
// and understands members that have the old one alone. Calls all regions until it is told to end.
#include <array>
#include <atomic>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <boost/program_options.hpp>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/verbs.hpp"
#include "tests/rollout/contract.hpp"
#include "tests/support/program.hpp"

namespace po = boost::program_options;
using namespace fly::rollout;
using namespace std::chrono_literals;

namespace {

void serve(fly::rpc::endpoint& rpc) {
  rpc.serve(old_quote, [](std::string item) { return v1::quote{std::move(item), 250}; });
  if (FLY_ROLLOUT_VERSION == 2)
    rpc.serve(new_quote, [](std::string item) { return v2::quote{std::move(item), 250, "AUD"}; });
}

/// Calls as a program of this version does. What is refused with signature_mismatch has not run.
caf::error call(const fly::rpc::bound_endpoint& rpc, const std::string& region) {
  if (FLY_ROLLOUT_VERSION == 2) {
    auto answer = fly::rpc_region(rpc, region, new_quote, "pen");
    if (answer)
      return answer->currency == "AUD" && answer->cents == 250
                 ? caf::error{}
                 : fly::make_error(fly::errc::malformed_result, "a wrong quote");
    if (answer.error() != fly::errc::signature_mismatch)
      return answer.error();
  }
  auto answer = fly::rpc_region(rpc, region, old_quote, "pen");
  if (!answer)
    return answer.error();
  return answer->cents == 250 ? caf::error{}
                              : fly::make_error(fly::errc::malformed_result, "a wrong quote");
}

/// How calls have ended.
struct tally {
  std::atomic<std::int64_t> answered{0};
  std::atomic<std::int64_t> failed{0};

  std::pair<std::int64_t, std::int64_t> counts() const { return {answered, failed}; }
};

/// Threads that call until the object ends.
class callers {
public:
  callers(const fly::rpc::endpoint& rpc, tally& results) : results_(results) {
    for (std::size_t i = 0; i < threads_.size(); ++i)
      threads_[i] = std::thread{[this, &rpc, i] { run(rpc, i); }};
  }
  ~callers() {
    ending_ = true;
    for (auto& each : threads_)
      each.join();
  }

private:
  void run(const fly::rpc::endpoint& rpc, std::size_t turn) {
    static constexpr std::array regions{"syd", "lax", "ams"};
    for (; !ending_; ++turn) {
      const auto* region = regions[turn % regions.size()];
      if (auto reason = call(rpc.with({.timeout = 5s}), region)) {
        ++results_.failed;
        std::cerr << region << ": " << fly::to_string(reason) << std::endl;
      } else {
        ++results_.answered;
      }
    }
  }

  tally& results_;
  std::atomic<bool> ending_{false};
  std::array<std::thread, 2> threads_;
};

int run(const fly::cluster::options& where, const fly::test::end_signals& ends) {
  tally results; // outlives the endpoint, which serves it
  fly::cluster::node node{where};
  fly::rpc::endpoint rpc{node, {.workers = 4}};
  serve(rpc);
  rpc.serve(calls, [&results] { return results.counts(); });
  if (auto reason = node.join()) {
    std::cerr << "rollout_node: " << fly::to_string(reason) << '\n';
    return 1;
  }
  {
    callers mine{rpc, results};
    ends.wait();
  }
  node.leave();
  auto [answered, failed] = results.counts();
  std::cout << "answered " << answered << " failed " << failed << std::endl;
  return failed == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  fly::test::end_signals ends;
  fly::cluster::options where;
  po::options_description flags{"a node of two versions"};
  where.describe(flags);
  return fly::test::run_program("rollout_node", argc, argv, flags,
                                [&](const auto&) { return run(where, ends); });
}
