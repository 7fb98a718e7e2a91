#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/local/delay_proxy.hpp"

namespace fly::chaos {

/// The regions, and the network between them.
inline constexpr std::size_t region_count = 3;
inline constexpr std::array<const char*, region_count> region_names{"syd", "lax", "ams"};

/// Three regions on one machine: each is a network namespace of its own, with nothing but its
/// loopback device, and whatever passes between two of them passes through a proxy of ours, which
/// may hold it back or make it late. Where namespaces are forbidden all are in one, and only the
/// proxies lie between them. A resource. Not thread-safe.
class network {
public:
  network();
  ~network();

  network(const network&) = delete;
  network& operator=(const network&) = delete;

  /// Why there are no namespaces; empty where there are.
  const std::string& without_namespaces() const noexcept { return without_; }

  /// Runs `what` in the region: sockets that it opens and processes that it starts are there.
  void inside(std::size_t region, const std::function<void()>& what) const;

  /// Lets region `from` reach `target` of region `to` at its own `listen`, "127.0.0.1:0", later by
  /// `extra` than others. Returns the port there.
  std::uint16_t connect(std::size_t from, std::size_t to, const std::string& listen,
                        const std::string& target, std::chrono::milliseconds extra);

  /// Lets nothing pass from one region to the other, until `heal`.
  void cut(std::size_t from, std::size_t to);
  void heal();

  /// Time that all of a region, to and from the others, is under way, each way.
  void delay(std::size_t region, std::chrono::milliseconds each_way);

private:
  struct way {
    std::size_t from;
    std::size_t to;
    std::chrono::milliseconds extra;
    std::unique_ptr<local::delay_proxy> proxy;
  };

  void enter(std::size_t region) const;

  std::string without_;
  int home_ = -1;
  std::array<int, region_count> spaces_{-1, -1, -1};
  std::vector<way> ways_;
};

} // namespace fly::chaos
