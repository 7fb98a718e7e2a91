// Proves a roll-out: six nodes in three regions, each replaced by one of the next version whose
// function has another type, while all of them call one another.
#include <array>
#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include <doctest/doctest.h>

#include "apps/local/environment.hpp"
#include "apps/local/postgres_process.hpp"
#include "apps/local/process.hpp"
#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/verbs.hpp"
#include "tests/rollout/contract.hpp"
#include "tests/support/eventually.hpp"

using namespace fly;
using namespace fly::rollout;
using namespace std::chrono_literals;

namespace {

constexpr std::array regions{"syd", "syd", "lax", "lax", "ams", "ams"};

/// Six nodes of one program, and a visitor who looks at them.
class shop {
public:
  shop() : port_(local::free_port()), node_(visitor()), rpc_(node_, {.workers = 1}) {
    auto name = (std::filesystem::temp_directory_path() / "fly-rollout-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
    REQUIRE_FALSE(node_.join());
  }
  ~shop() {
    nodes_.clear();
    std::filesystem::remove_all(folder_);
  }

  void start(std::size_t index, const std::string& version) {
    auto id = id_of(index);
    std::vector<std::string> arguments{version == "v2" ? FLY_ROLLOUT_NODE_2 : FLY_ROLLOUT_NODE_1,
                                       "--region",
                                       regions[index],
                                       "--primary-region",
                                       "syd",
                                       "--app",
                                       "rollout",
                                       "--machine-id",
                                       id,
                                       "--app-version",
                                       version,
                                       "--listen",
                                       address_of(index),
                                       "--port",
                                       std::to_string(port_),
                                       "--heartbeat",
                                       "100"};
    for (std::size_t i = 0; i < regions.size(); ++i) {
      arguments.emplace_back("--peer");
      arguments.push_back(address_of(i));
    }
    nodes_[index] = std::make_unique<local::process>(
        local::process_setup{.arguments = arguments,
                             .environment = local::environment_with({}),
                             .log = folder_ / (id + version + ".log")});
  }

  /// Ends a node as Fly does. Returns how it ended, and its last words.
  std::pair<std::string, std::string> stop(std::size_t index) {
    nodes_[index]->signal(SIGINT);
    CHECK(fly::test::eventually([&] { return nodes_[index]->ended().has_value(); }, 20s));
    return {nodes_[index]->ended().value_or("it runs"), nodes_[index]->log_tail(5)};
  }

  /// Returns whether the visitor sees all nodes with their functions, this one in this version.
  bool all_there(std::size_t index, const std::string& version) const {
    auto views = node_.views();
    std::size_t well = 0;
    bool right = false;
    for (const auto& view : views) {
      well += view.linked && !view.services.empty() ? 1 : 0;
      right = right || (view.who.id == id_of(index) && view.who.version == version &&
                        !view.services.empty());
    }
    return well == regions.size() && right;
  }

  /// Returns how many calls of a node were answered, and how many failed, so far.
  std::pair<std::int64_t, std::int64_t> counts_of(std::size_t index) const {
    auto counts = rpc_member(rpc_.with({.timeout = 2s}), id_of(index), calls);
    return counts ? *counts : std::pair<std::int64_t, std::int64_t>{};
  }

  bool has_called(std::size_t index, std::int64_t least) const {
    return fly::test::eventually([&] { return counts_of(index).first >= least; }, 30s);
  }

private:
  static std::string id_of(std::size_t index) { return "m" + std::to_string(index); }
  static std::string address_of(std::size_t index) {
    return "127.0.0." + std::to_string(61 + index);
  }

  cluster::options visitor() const {
    cluster::options result;
    result.app = "rollout";
    result.observer = true;
    result.port = port_;
    for (std::size_t i = 0; i < regions.size(); ++i)
      result.peers.push_back(address_of(i));
    result.dial_first = 20ms;
    result.dial_max = 100ms;
    result.log = [](cluster::log_level, std::string_view) {};
    return result;
  }

  std::uint16_t port_;
  std::filesystem::path folder_;
  cluster::node node_;
  rpc::endpoint rpc_;
  std::map<std::size_t, std::unique_ptr<local::process>> nodes_;
};

} // namespace

TEST_CASE("fault 15: six nodes are rolled over to a version with other types, and no call fails") {
  constexpr std::int64_t calls_min = 20'000;
  shop it;
  for (std::size_t i = 0; i < regions.size(); ++i)
    it.start(i, "v1");
  REQUIRE(fly::test::eventually([&] { return it.all_there(0, "v1"); }, 30s));

  std::int64_t total = 0;
  auto count = [&](const std::pair<std::string, std::string>& end) {
    CHECK_MESSAGE(end.first == "exit code 0", end.second);
    auto at = end.second.find("answered ");
    REQUIRE_MESSAGE(at != std::string::npos, end.second);
    total += std::stoll(end.second.substr(at + 9));
  };
  for (std::size_t i = 0; i < regions.size(); ++i) {
    CHECK(it.has_called(i, calls_min / 12));
    count(it.stop(i));
    it.start(i, "v2");
    REQUIRE(fly::test::eventually([&] { return it.all_there(i, "v2"); }, 30s));
  }
  for (std::size_t i = 0; i < regions.size(); ++i) {
    CHECK(it.has_called(i, calls_min / 12 + 1));
    auto [answered, failed] = it.counts_of(i);
    CHECK(failed == 0);
    total += answered;
  }

  CHECK(total >= calls_min);
  MESSAGE(total, " calls, none failed");
}
