#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

/// What all systems of the bench of calls have in common: each is a program that is server or
/// client, and a driver that starts both and asks the client for one run after the other.
namespace fly::bench {

using clock = std::chrono::steady_clock;

/// One run: `in_flight` calls of an echo with `bytes` at a time, for `seconds`.
struct work {
  std::size_t bytes = 16;
  std::size_t in_flight = 1;
  std::string variant; ///< Empty, or "pool": the handler runs on a worker of the server.
  double seconds = 0.3;
};

/// Gathers how long each call took, until the time is over. Not safe from several threads at once.
class stopwatch {
public:
  explicit stopwatch(const work& what)
      : end_(clock::now() + std::chrono::duration_cast<clock::duration>(
                                std::chrono::duration<double>{what.seconds})) {
    took_us_.reserve(1'000'000);
  }

  /// Notes a call that began at `begun`; returns whether another one is to be made.
  bool lap(clock::time_point begun) {
    auto now = clock::now();
    took_us_.push_back(std::chrono::duration<float, std::micro>{now - begun}.count());
    return now < end_;
  }

  std::vector<float>& took_us() noexcept { return took_us_; }

private:
  clock::time_point end_;
  std::vector<float> took_us_;
};

/// The client of one system, connected.
class client {
public:
  virtual ~client() = default;

  /// Makes calls until `time` says that it is over, and waits for those that are under way. Throws
  /// where one fails.
  virtual void run(const work& what, stopwatch& time) = 0;
};

/// One system.
struct peer {
  /// Serves, tells the port, and never returns.
  std::function<void(const std::function<void(std::uint16_t port)>& ready)> serve;
  std::function<std::unique_ptr<client>(std::uint16_t port)> connect;
};

/// Returns the folder with "node.pem", "node.key" and "ca.pem", where links are to be encrypted
/// with both sides showing a certificate for `tls_name`; empty where they are not.
std::string tls_folder();

/// The application and the DNS name that those certificates are for.
inline constexpr const char* tls_app = "bench";
inline constexpr const char* tls_name = "bench.internal";

/// PROGRAM server: prints its port, and ends with its standard input. PROGRAM client PORT: reads
/// lines "BYTES IN_FLIGHT SECONDS VARIANT", "-" for none, and answers each with "P50_US P99_US
/// CALLS CALLS_PER_S" or "failed WHY".
int peer_main(int argc, char** argv, const peer& it);

} // namespace fly::bench
