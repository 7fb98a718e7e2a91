#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "fly/cluster/tcp.hpp"

namespace fly::cluster {

/// Takes bytes straight out of one connection, in place of its owner. Any thread, one at a time.
class inlet {
public:
  virtual ~inlet() = default;

  /// Says whether the owner is to be told when bytes come.
  virtual void watch(bool by_owner) noexcept = 0;

  /// Waits until there is something to read, or the connection has ended. Returns false at the
  /// deadline.
  virtual bool wait_until(std::chrono::steady_clock::time_point deadline) noexcept = 0;

  /// Takes at most `into.size()` bytes and returns how many; 0 where nothing has come, -1 where
  /// the connection has ended or failed. Never waits.
  virtual std::ptrdiff_t read(std::span<char> into) noexcept = 0;
};

/// Sockets that an event loop hears of through one descriptor, which can be read while one of them
/// can. Safe from any thread.
class watched_sockets {
public:
  /// Returns none where the process has no descriptor left.
  static std::shared_ptr<watched_sockets> make();

  explicit watched_sockets(socket_owner epoll) noexcept : epoll_(std::move(epoll)) {}

  int descriptor() const noexcept { return epoll_.descriptor(); }

  /// Begins, changes, and ends to watch `socket`, under the number `id`. A socket that was told of
  /// is not watched any more until the next `watch`.
  bool add(int socket, std::uint64_t id) noexcept;
  void watch(int socket, std::uint64_t id, bool really) noexcept;
  void remove(int socket) noexcept;

  /// Returns the numbers of those that can be read, or have ended; some of them, where they are
  /// many. Never waits.
  std::vector<std::uint64_t> ready() const;

private:
  socket_owner epoll_;
};

/// Returns an inlet of the connected TCP socket `descriptor`, by a descriptor of its own that is
/// closed with it; `by` tells the owner of what comes, as `id`. Null where the process has no
/// descriptor left.
std::unique_ptr<inlet> inlet_from(int descriptor, std::shared_ptr<watched_sockets> by,
                                  std::uint64_t id);

} // namespace fly::cluster
