#include "apps/local/delay_proxy.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/local/delay_connection.hpp"
#include "fly/actors/error.hpp"
#include "fly/cluster/address.hpp"
#include "fly/cluster/tcp.hpp"

namespace fly::local {

namespace {

using time_point = delay_line::time_point;

/// Pause after an accept that failed, for want of descriptors mostly.
constexpr std::chrono::milliseconds accept_pause{50};

template <class T>
T or_throw(caf::expected<T> value) {
  if (!value)
    throw std::runtime_error{fly::to_string(value.error())};
  return std::move(*value);
}

/// Waits until one of `what` is ready, or until `when`.
void wait_for(std::vector<pollfd>& what, std::optional<time_point> when) {
  timespec left{};
  if (when) {
    auto ns = std::max<std::int64_t>(
        0, std::chrono::nanoseconds{*when - std::chrono::steady_clock::now()}.count());
    left = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  }
  if (::ppoll(what.data(), what.size(), when ? &left : nullptr, nullptr) < 0)
    for (auto& it : what)
      it.revents = 0;
}

} // namespace

class delay_proxy::worker {
public:
  explicit worker(delay_proxy_options options)
      : options_(std::move(options)),
        target_(or_throw(cluster::parse_socket_address(options_.target, 0))),
        delay_ms_(options_.delay.count()) {
    auto where = or_throw(cluster::parse_socket_address(options_.listen, 0));
    if (cluster::reach_of(target_.host) == cluster::reach::name || target_.port == 0)
      throw std::runtime_error{"a proxy needs a numeric target with a port, not '" +
                               options_.target + "'"};
    listening_ = or_throw(cluster::bind_tcp(where));
    if (auto reason = cluster::listen_tcp(listening_, where))
      throw std::runtime_error{fly::to_string(reason)};
    ::fcntl(listening_.descriptor(), F_SETFL, O_NONBLOCK);
    auto bound = cluster::local_address(listening_, where);
    port_ = bound.port;
    address_ = to_string(bound);
    bell_ = cluster::socket_owner{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (bell_.descriptor() < 0)
      throw std::runtime_error{"no descriptor for a proxy"};
    start();
  }

  ~worker() {
    ending_ = true;
    ring();
    thread_.join();
  }

  void ring() const {
    std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(bell_.descriptor(), &one, sizeof(one));
  }

  void set_delay(std::chrono::milliseconds value) { delay_ms_ = value.count(); }
  void set_cut(direction which, bool value) {
    cut_.at(static_cast<std::size_t>(which)) = value;
    ring();
  }

  const std::string& address() const noexcept { return address_; }
  std::uint16_t port() const noexcept { return port_; }
  std::size_t connections() const noexcept { return count_; }

private:
  /// Signals are for the threads of the program, not for this one.
  void start() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread{[this] { run(); }};
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  line_rules rules() const {
    return {.delay = std::chrono::milliseconds{delay_ms_.load()}, .cut = {cut_[0], cut_[1]}};
  }

  void run() {
    if (options_.on_thread)
      options_.on_thread();
    while (!ending_) {
      auto now = std::chrono::steady_clock::now();
      auto holds = rules();
      for (auto& it : connections_)
        it->pass(now, holds);
      std::erase_if(connections_, [](const auto& it) { return it->over(); });
      count_ = connections_.size();
      auto sockets = what_to_wait_for(now);
      wait_for(sockets, next(now, holds));
      take(sockets);
    }
    connections_.clear();
    count_ = 0;
  }

  /// The bell, the listening socket, then two for each connection; -1 makes poll skip one.
  std::vector<pollfd> what_to_wait_for(time_point now) const {
    bool accepts = connections_.size() < options_.connections_max && accept_after_ <= now;
    std::vector<pollfd> result{{bell_.descriptor(), POLLIN, 0},
                               {accepts ? listening_.descriptor() : -1, POLLIN, 0}};
    for (const auto& it : connections_)
      for (std::size_t side : {0u, 1u}) {
        auto events = it->events(side);
        result.push_back({events == 0 ? -1 : it->descriptor(side), events, 0});
      }
    return result;
  }

  std::optional<time_point> next(time_point now, const line_rules& holds) const {
    std::optional<time_point> result;
    if (accept_after_ > now)
      result = accept_after_;
    for (const auto& it : connections_)
      if (auto due = it->next(holds); due && (!result || *due < *result))
        result = due;
    return result;
  }

  void take(const std::vector<pollfd>& sockets) {
    auto now = std::chrono::steady_clock::now();
    auto holds = rules();
    if (sockets[0].revents != 0) {
      std::uint64_t rung = 0;
      [[maybe_unused]] auto count = ::read(bell_.descriptor(), &rung, sizeof(rung));
    }
    for (std::size_t i = 0; i < connections_.size(); ++i)
      for (std::size_t side : {0u, 1u})
        if (auto found = sockets[2 + 2 * i + side].revents; found != 0)
          connections_[i]->on_events(side, found, now, holds);
    if (sockets[1].revents != 0)
      accept_all(now, holds);
  }

  void accept_all(time_point now, const line_rules& holds) {
    while (connections_.size() < options_.connections_max) {
      cluster::socket_owner client{
          ::accept4(listening_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
      if (client.descriptor() < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK)
          accept_after_ = now + accept_pause;
        return;
      }
      connections_.push_back(std::make_unique<delay_connection>(std::move(client), target_,
                                                                options_.bytes_max, now, holds));
    }
  }

  const delay_proxy_options options_;
  const cluster::socket_address target_;
  cluster::socket_owner listening_;
  cluster::socket_owner bell_;
  std::string address_;
  std::uint16_t port_ = 0;
  std::atomic<std::int64_t> delay_ms_;
  std::array<std::atomic<bool>, 2> cut_{};
  std::atomic<bool> ending_ = false;
  std::atomic<std::size_t> count_ = 0;
  std::vector<std::unique_ptr<delay_connection>> connections_; // only on the thread
  time_point accept_after_{};                                  // only on the thread
  std::thread thread_;
};

delay_proxy::delay_proxy(delay_proxy_options options)
    : worker_(std::make_unique<worker>(std::move(options))) {}

delay_proxy::~delay_proxy() = default;

const std::string& delay_proxy::address() const noexcept {
  return worker_->address();
}

std::uint16_t delay_proxy::port() const noexcept {
  return worker_->port();
}

void delay_proxy::delay(std::chrono::milliseconds each_way) {
  worker_->set_delay(each_way);
}

void delay_proxy::cut(direction which) {
  worker_->set_cut(which, true);
}

void delay_proxy::heal(direction which) {
  worker_->set_cut(which, false);
}

std::size_t delay_proxy::connections() const noexcept {
  return worker_->connections();
}

} // namespace fly::local
