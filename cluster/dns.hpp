#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

namespace fly::cluster {

/// All addresses of one name and, where asked for, one text.
struct dns_answer {
  caf::expected<std::vector<std::string>> addresses;
  caf::expected<std::string> text;
};

/// Asks name servers with c-ares, on the calling thread. A resource; only `cancel` is safe from
/// another thread.
class resolver {
public:
  /// `server` is "host:port" with a numeric host; empty means the system's. `time_max` bounds each
  /// call. Where c-ares cannot start, every call says so.
  resolver(std::string server, std::chrono::milliseconds time_max);
  ~resolver();

  resolver(const resolver&) = delete;
  resolver& operator=(const resolver&) = delete;

  /// Asks for the AAAA and A records of `name` and for the TXT record of `text_name`, all at once;
  /// an empty name is not asked for. Parts of a text that is split over several strings are joined;
  /// several records are joined by ','. Blocks for at most `time_max`.
  /// Errors in each part: errc::dns_failed (no such name, no answer, malformed). One family of
  /// addresses is enough.
  dns_answer ask(const std::string& name, const std::string& text_name);

  /// Makes the running and every later call return soon. Safe from any thread.
  void cancel() noexcept;

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

} // namespace fly::cluster
