// Proves that real nodes in one process find each other over loopback sockets, trust only those
// that prove the secret, notice who leaves, and carry frames in order.
#include "fly/cluster/node.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"

using namespace fly::cluster;
using namespace std::chrono_literals;

namespace {

constexpr auto first_user = frame_kind::first_user;

bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds limit = 10s) {
  auto deadline = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < deadline) {
    if (holds())
      return true;
    std::this_thread::sleep_for(2ms);
  }
  return holds();
}

/// Collects the lines of several nodes' logs.
struct log_lines {
  log_sink sink() {
    return [this](log_level level, std::string_view text) {
      std::lock_guard guard{mutex};
      lines.push_back(std::string{to_string(level)} + ": " + std::string{text});
    };
  }

  std::size_t count(const std::string& part) {
    std::lock_guard guard{mutex};
    std::size_t result = 0;
    for (const auto& line : lines)
      result += line.find(part) != std::string::npos ? 1 : 0;
    return result;
  }

  std::mutex mutex;
  std::vector<std::string> lines;
};

log_sink silent() {
  return [](log_level, std::string_view) {};
}

/// Options of a node on any free port, quick enough for a test.
options quick(const std::string& region, std::vector<std::string> peers = {}) {
  options result;
  result.region = region;
  result.primary_region = "syd";
  result.port = 0;
  result.peers = std::move(peers);
  result.heartbeat = 50ms;
  result.silence_max = 2000ms;
  result.handshake_timeout = 500ms;
  result.dial_first = 20ms;
  result.dial_max = 200ms;
  result.log = silent();
  return result;
}

bool sees(const node& who, std::size_t count) {
  if (who.members().size() != count)
    return false;
  for (const auto& view : who.views())
    if (view.state == presence::suspect)
      return false;
  return true;
}

/// Counts what it hears.
struct counting_listener : listener {
  void on_frame(const std::shared_ptr<channel>& from, frame_kind,
                std::span<const std::byte> bytes) override {
    std::lock_guard guard{mutex};
    received[from->peer().id].emplace_back(reinterpret_cast<const char*>(bytes.data()),
                                           bytes.size());
  }
  void on_link_down(const std::shared_ptr<channel>&, const caf::error&) override { ++downs; }
  void on_change() override { ++changes; }

  std::size_t count() {
    std::lock_guard guard{mutex};
    std::size_t result = 0;
    for (const auto& [id, texts] : received)
      result += texts.size();
    return result;
  }

  std::mutex mutex;
  std::map<std::string, std::vector<std::string>> received;
  std::atomic<int> downs{0};
  std::atomic<int> changes{0};
};

} // namespace

TEST_CASE("a single node with default options joins and sees itself") {
  auto settings = quick("local");
  settings.primary_region = "local";
  node alone{settings};

  REQUIRE_FALSE(alone.join());

  CHECK(alone.members() == std::vector{alone.self()});
  CHECK(alone.is_primary());
  CHECK(alone.leader() == alone.self());
  CHECK(alone.primary_region() == "local");
}

TEST_CASE("three nodes find each other by fixed peers") {
  node a{quick("syd")};
  REQUIRE_FALSE(a.join());
  node b{quick("lax", {a.self().address})};
  REQUIRE_FALSE(b.join());
  node c{quick("ams", {a.self().address, b.self().address})};
  REQUIRE_FALSE(c.join());

  CHECK(eventually([&] { return sees(a, 3) && sees(b, 3) && sees(c, 3); }));

  CHECK(a.members() == b.members());
  CHECK(a.members() == c.members());
  CHECK(b.region_nodes("ams") == std::vector{c.self()});
  CHECK(b.region_nodes("hkg").empty());
  CHECK(c.leader() == a.self());
  CHECK(c.primary_region() == "syd");
  CHECK_FALSE(c.is_primary());
  CHECK(a.is_primary());
}
