#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace fly::local {

/// A real dnsmasq on a free loopback port, with no upstream: what it is not told does not exist.
/// A resource; ends with the object. Throws std::runtime_error where dnsmasq cannot be started.
class dns_server {
public:
  /// Starts with nothing but `dnsmasq_options`, one a line: "txt-record=vms.shop.internal,a b".
  explicit dns_server(std::vector<std::string> dnsmasq_options = {});
  ~dns_server();

  dns_server(const dns_server&) = delete;
  dns_server& operator=(const dns_server&) = delete;

  /// Replaces all hosts, {{"127.0.0.2", "shop.internal"}, ...}; known within milliseconds.
  void set_hosts(const std::vector<std::pair<std::string, std::string>>& address_and_name);

  /// Returns "127.0.0.1:5353", to be given as the name server.
  std::string address() const;

  /// Returns the folder of its settings, and its pid.
  const std::string& folder() const noexcept { return directory_; }
  pid_t pid() const noexcept { return process_; }

  /// Stops answering, as a crash does.
  void kill();

  /// Starts it again after `kill`, on its port and with what it has been told, and waits until it
  /// answers. Throws std::runtime_error where it does not within 5 s.
  void start_again();

  /// Stops answering until `thaw`: the port stays open and silent.
  void freeze();
  void thaw();

private:
  void write_settings(const std::vector<std::string>& dnsmasq_options) const;
  void remove_folder() const;
  void start();
  bool wait_until_it_answers();
  bool answers() const;

  std::string directory_;
  std::uint16_t port_ = 0;
  pid_t process_ = -1;
};

} // namespace fly::local
