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

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

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
        rules_(options_.clients.size() + 1) {
    for (auto& it : rules_)
      it.delay(options_.delay);
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

  void set_delay(std::chrono::milliseconds value) {
    for (auto& it : rules_)
      it.delay(value);
  }
  void set_cut(direction which, bool value) {
    for (auto& it : rules_)
      it.cut(static_cast<std::size_t>(which), value);
    ring();
  }
  void set_rules(std::size_t client, const line_rules& what) {
    rules_.at(client).set(what);
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

  /// Returns what holds for a client: its own rules, or those of all others.
  const live_rules& rules_of(const sockaddr_in& from) const {
    std::array<char, INET_ADDRSTRLEN> text{};
    ::inet_ntop(AF_INET, &from.sin_addr, text.data(), text.size());
    auto found = std::find(options_.clients.begin(), options_.clients.end(), text.data());
    return rules_[static_cast<std::size_t>(found - options_.clients.begin())];
  }

  void run() {
    if (options_.on_thread)
      options_.on_thread();
    while (!ending_) {
      auto now = std::chrono::steady_clock::now();
      for (auto& it : connections_)
        it->pass(now);
      std::erase_if(connections_, [](const auto& it) { return it->over(); });
      count_ = connections_.size();
      auto sockets = what_to_wait_for(now);
      wait_for(sockets, next(now));
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

  std::optional<time_point> next(time_point now) const {
    std::optional<time_point> result;
    if (accept_after_ > now)
      result = accept_after_;
    for (const auto& it : connections_)
      if (auto due = it->next(); due && (!result || *due < *result))
        result = due;
    return result;
  }

  void take(const std::vector<pollfd>& sockets) {
    auto now = std::chrono::steady_clock::now();
    if (sockets[0].revents != 0) {
      std::uint64_t rung = 0;
      [[maybe_unused]] auto count = ::read(bell_.descriptor(), &rung, sizeof(rung));
    }
    for (std::size_t i = 0; i < connections_.size(); ++i)
      for (std::size_t side : {0u, 1u})
        if (auto found = sockets[2 + 2 * i + side].revents; found != 0)
          connections_[i]->on_events(side, found, now);
    if (sockets[1].revents != 0)
      accept_all(now);
  }

  void accept_all(time_point now) {
    while (connections_.size() < options_.connections_max) {
      sockaddr_in from{}; // of another family it is nobody's
      socklen_t size = sizeof(from);
      cluster::socket_owner client{::accept4(listening_.descriptor(),
                                             reinterpret_cast<sockaddr*>(&from), &size,
                                             SOCK_CLOEXEC | SOCK_NONBLOCK)};
      if (client.descriptor() < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK)
          accept_after_ = now + accept_pause;
        return;
      }
      connections_.push_back(std::make_unique<delay_connection>(
          std::move(client), target_, options_.bytes_max, now, rules_of(from)));
    }
  }

  const delay_proxy_options options_;
  const cluster::socket_address target_;
  cluster::socket_owner listening_;
  cluster::socket_owner bell_;
  std::string address_;
  std::uint16_t port_ = 0;
  std::vector<live_rules> rules_; // of each client by name, last of all others
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

void delay_proxy::rules(std::size_t client, const line_rules& what) {
  worker_->set_rules(client, what);
}

std::size_t delay_proxy::connections() const noexcept {
  return worker_->connections();
}

} // namespace fly::local
