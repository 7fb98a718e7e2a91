#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/local/delay_connection.hpp"

namespace fly::local {

/// A direction through a proxy.
enum class direction { to_target, to_client };

/// What a delay proxy needs to know.
struct delay_proxy_options {
  /// Where it listens, "127.0.0.1:0"; port 0 takes any free one. Numeric addresses only.
  std::string listen = "127.0.0.1:0";
  /// Where each connection goes on to, "127.0.0.2:4370".
  std::string target{};
  /// Time that each byte is under way in each direction.
  std::chrono::milliseconds delay{0};
  /// Numeric IPv4 hosts that dial and have rules of their own, "127.0.0.2".
  std::vector<std::string> clients{};
  /// Most bytes under way in one direction of one connection; beyond it the sender waits, as on a
  /// line of that length.
  std::size_t bytes_max = 16 * 1024 * 1024;
  /// Most connections; further ones wait to be accepted.
  std::size_t connections_max = 1000;
  /// Called first on the proxy's thread, which opens the connections to `target`: to enter another
  /// network namespace.
  std::function<void()> on_thread{};
};

/// Makes a connection on this machine look like one across an ocean: what comes in at `listen` goes
/// out to `target`, each byte `delay` later, in order, as fast as it comes; the same the other way.
/// The end of one direction passes as such (and as late), and so does a reset. A target that cannot
/// be reached resets the client. A resource with a thread of its own; its functions are safe from
/// any thread.
class delay_proxy {
public:
  /// Listens from now on. Throws std::runtime_error where an address cannot be used.
  explicit delay_proxy(delay_proxy_options options);

  /// Resets what is connected, and stops listening.
  ~delay_proxy();

  delay_proxy(const delay_proxy&) = delete;
  delay_proxy& operator=(const delay_proxy&) = delete;

  /// Returns where it listens, "127.0.0.1:40123".
  const std::string& address() const noexcept;

  /// Returns the port of `address()`.
  std::uint16_t port() const noexcept;

  /// Changes the delay of what comes in from now on; nothing overtakes what is under way.
  void delay(std::chrono::milliseconds each_way);

  /// Lets nothing pass in this direction on any connection, present or future, until `heal`: not a
  /// byte, no end. What comes meanwhile waits, up to `bytes_max`, as TCP would send it again.
  void cut(direction which);

  /// Lets everything pass again that `cut` has held.
  void heal(direction which);

  /// Changes what holds for connections, present and future, that `clients[client]` has dialled;
  /// for those of all others where `client` is the number of `clients`. The three functions before
  /// it are for all.
  void rules(std::size_t client, const line_rules& what);

  /// Returns the number of connections now.
  std::size_t connections() const noexcept;

private:
  class worker;
  std::unique_ptr<worker> worker_;
};

} // namespace fly::local
