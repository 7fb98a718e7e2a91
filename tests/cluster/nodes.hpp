#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fly/cluster/node.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/quick_options.hpp"

namespace fly::test {

/// Collects the lines of the logs of several nodes; outlives them.
class log_lines {
public:
  cluster::log_sink sink() {
    return [this](cluster::log_level level, std::string_view text) {
      std::lock_guard guard{mutex_};
      lines_.push_back(std::string{to_string(level)} + ": " + std::string{text});
    };
  }

  /// Returns how many lines hold `part`.
  std::size_t count(const std::string& part) {
    std::lock_guard guard{mutex_};
    std::size_t result = 0;
    for (const auto& line : lines_)
      result += line.find(part) != std::string::npos ? 1 : 0;
    return result;
  }

private:
  std::mutex mutex_;
  std::vector<std::string> lines_; // guarded by mutex_
};

/// Returns options of a node that gives strangers little time.
inline cluster::options quick_node(const std::string& region, std::vector<std::string> peers = {}) {
  auto result = quick_options(region, std::move(peers));
  result.handshake_timeout = std::chrono::milliseconds{500};
  return result;
}

/// Returns whether `who` sees `count` members, itself included, all of them alive and linked.
inline bool sees(const cluster::node& who, std::size_t count) {
  auto views = who.views();
  for (const auto& view : views)
    if (view.state != cluster::presence::self && !view.linked)
      return false;
  return views.size() == count;
}

/// Lets a node join at an address that another one had: somebody else's connection may have its
/// port for a moment. Null where that does not end.
inline std::unique_ptr<cluster::node> join_again(const cluster::options& settings) {
  std::unique_ptr<cluster::node> made;
  bool joined = eventually([&] {
    made = std::make_unique<cluster::node>(settings);
    return !made->join();
  });
  return joined ? std::move(made) : nullptr;
}

/// Keeps what it hears.
class memory_listener : public cluster::listener {
public:
  void on_frame(const std::shared_ptr<cluster::channel>& from, cluster::frame_kind,
                std::span<const std::byte> payload) override {
    std::lock_guard guard{mutex_};
    received_[from->peer().id].emplace_back(reinterpret_cast<const char*>(payload.data()),
                                            payload.size());
  }

  void on_link_down(const std::shared_ptr<cluster::channel>& which, const caf::error&) override {
    std::lock_guard guard{mutex_};
    downs_.push_back(which);
  }

  void on_change() override { ++changes; }

  /// Returns the payloads that came from the member `id`, in order.
  std::vector<std::string> from(const std::string& id) {
    std::lock_guard guard{mutex_};
    return received_[id];
  }

  std::vector<std::shared_ptr<cluster::channel>> downs() {
    std::lock_guard guard{mutex_};
    return downs_;
  }

  std::atomic<int> changes{0};

private:
  std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> received_; // guarded by mutex_
  std::vector<std::shared_ptr<cluster::channel>> downs_;     // guarded by mutex_
};

} // namespace fly::test
