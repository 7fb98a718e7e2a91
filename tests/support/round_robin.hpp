#pragma once

#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace fly::test {

/// One port of 127.0.0.1 behind which stand several: each connection goes to the next one, as a
/// balancer without a memory does. A resource with threads of its own.
class round_robin {
public:
  /// Listens on a free port; `targets` are ports of 127.0.0.1.
  explicit round_robin(std::vector<std::uint16_t> targets);
  ~round_robin();

  round_robin(const round_robin&) = delete;
  round_robin& operator=(const round_robin&) = delete;

  std::uint16_t port() const noexcept { return port_; }

  /// Ends all connections that are up.
  void drop();

private:
  void accept_all();

  std::vector<std::uint16_t> targets_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::vector<int> sockets_;         // guarded by mutex_
  std::vector<std::thread> copiers_; // guarded by mutex_
  std::thread acceptor_;
};

} // namespace fly::test
