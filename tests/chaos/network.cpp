#include "tests/chaos/network.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fly::chaos {

namespace {

using local::direction;

/// On a line that is cut whoever sends is to notice soon.
constexpr std::size_t bytes_under_way_max = 256 * 1024;
/// But a whole database passes when a replica is made.
constexpr std::size_t bytes_late_max = 8 * 1024 * 1024;

int open_own_namespace() {
  return ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/// In a thread of its own: makes a namespace with a loopback device that is up. Returns why not.
std::string make_namespace(int& descriptor) {
  auto failed = [](const char* what) { return std::string{what} + ": " + std::strerror(errno); };
  if (::unshare(CLONE_NEWNET) != 0)
    return failed("no network namespaces here");
  int control = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq device{};
  std::strncpy(device.ifr_name, "lo", sizeof(device.ifr_name) - 1);
  device.ifr_flags = IFF_UP | IFF_RUNNING;
  bool up = control >= 0 && ::ioctl(control, SIOCSIFFLAGS, &device) == 0;
  auto why = up ? std::string{} : failed("no loopback device in a namespace");
  if (control >= 0)
    ::close(control);
  if (up && (descriptor = open_own_namespace()) < 0)
    why = failed("a namespace cannot be held");
  return why;
}

} // namespace

network::network() : home_(open_own_namespace()) {
  for (auto& each : spaces_) {
    std::thread maker{[&] { without_ = make_namespace(each); }};
    maker.join();
    if (!without_.empty())
      break;
  }
}

network::~network() {
  ways_.clear();
  for (auto each : spaces_)
    if (each >= 0)
      ::close(each);
  ::close(home_);
}

void network::enter(std::size_t region) const {
  if (without_.empty() && ::setns(spaces_.at(region), CLONE_NEWNET) != 0)
    throw std::runtime_error{std::string{"cannot enter a namespace: "} + std::strerror(errno)};
}

void network::inside(std::size_t region, const std::function<void()>& what) const {
  struct back {
    ~back() {
      if (descriptor >= 0) [[maybe_unused]]
        auto failed = ::setns(descriptor, CLONE_NEWNET);
    }
    int descriptor;
  } afterwards{without_.empty() ? home_ : -1};
  enter(region);
  what();
}

std::uint16_t network::connect(std::size_t from, std::size_t to, const std::string& listen,
                               const std::string& target, std::chrono::milliseconds extra) {
  inside(from, [&] {
    ways_.push_back({from, to, extra,
                     std::make_unique<local::delay_proxy>(local::delay_proxy_options{
                         .listen = listen,
                         .target = target,
                         .bytes_max = extra > extra.zero() ? bytes_late_max : bytes_under_way_max,
                         .on_thread = [this, to] { enter(to); }})});
  });
  return ways_.back().proxy->port();
}

void network::cut(std::size_t from, std::size_t to) {
  for (auto& each : ways_) {
    if (each.from == from && each.to == to)
      each.proxy->cut(direction::to_target);
    if (each.from == to && each.to == from)
      each.proxy->cut(direction::to_client);
  }
}

void network::heal() {
  for (auto& each : ways_) {
    each.proxy->heal(direction::to_target);
    each.proxy->heal(direction::to_client);
  }
}

void network::delay(std::size_t region, std::chrono::milliseconds each_way) {
  for (auto& each : ways_)
    if (each.from == region || each.to == region)
      each.proxy->delay(each_way + each.extra);
}

} // namespace fly::chaos
