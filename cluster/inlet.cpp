#include "fly/cluster/inlet.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace fly::cluster {

namespace {

using clock = std::chrono::steady_clock;

/// Told once, also of an end: who is told must not be told again and again until another thread has
/// done something about it.
epoll_event event_of(std::uint64_t id, bool watched) noexcept {
  epoll_event result{};
  result.events = EPOLLONESHOT;
  if (watched)
    result.events |= EPOLLIN | EPOLLRDHUP;
  result.data.u64 = id;
  return result;
}

timespec until(clock::time_point deadline) noexcept {
  using namespace std::chrono;
  auto left = std::max(deadline - clock::now(), clock::duration{0});
  auto whole = floor<seconds>(left);
  timespec result{};
  result.tv_sec = static_cast<time_t>(whole.count());
  result.tv_nsec = static_cast<long>(nanoseconds{left - whole}.count());
  return result;
}

class tcp_inlet final : public inlet {
public:
  tcp_inlet(socket_owner socket, std::shared_ptr<watched_sockets> by, std::uint64_t id)
      : socket_(std::move(socket)), by_(std::move(by)), id_(id) {}

  ~tcp_inlet() override { by_->remove(socket_.descriptor()); }

  void watch(bool by_owner) noexcept override { by_->watch(socket_.descriptor(), id_, by_owner); }

  bool wait_until(clock::time_point deadline) noexcept override {
    for (;;) {
      pollfd what{socket_.descriptor(), POLLIN, 0};
      auto left = until(deadline);
      auto ready = ::ppoll(&what, 1, &left, nullptr);
      if (ready < 0 && errno == EINTR)
        continue;
      return ready != 0; // a failure is the socket's, or is seen when it is read
    }
  }

  std::ptrdiff_t read(std::span<char> into) noexcept override {
    for (;;) {
      auto got = ::recv(socket_.descriptor(), into.data(), into.size(), MSG_DONTWAIT);
      if (got > 0)
        return got;
      if (got < 0 && errno == EINTR)
        continue;
      return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
    }
  }

private:
  socket_owner socket_;
  std::shared_ptr<watched_sockets> by_;
  std::uint64_t id_;
};

} // namespace

std::shared_ptr<watched_sockets> watched_sockets::make() {
  socket_owner epoll{::epoll_create1(EPOLL_CLOEXEC)};
  return epoll.descriptor() < 0 ? nullptr : std::make_shared<watched_sockets>(std::move(epoll));
}

bool watched_sockets::add(int socket, std::uint64_t id) noexcept {
  auto event = event_of(id, true);
  return ::epoll_ctl(descriptor(), EPOLL_CTL_ADD, socket, &event) == 0;
}

void watched_sockets::watch(int socket, std::uint64_t id, bool really) noexcept {
  auto event = event_of(id, really);
  ::epoll_ctl(descriptor(), EPOLL_CTL_MOD, socket, &event);
}

void watched_sockets::remove(int socket) noexcept {
  ::epoll_ctl(descriptor(), EPOLL_CTL_DEL, socket, nullptr);
}

std::vector<std::uint64_t> watched_sockets::ready() const {
  std::array<epoll_event, 64> events{};
  auto count = ::epoll_wait(descriptor(), events.data(), static_cast<int>(events.size()), 0);
  std::vector<std::uint64_t> result;
  for (int i = 0; i < count; ++i)
    result.push_back(events[static_cast<std::size_t>(i)].data.u64);
  return result;
}

std::unique_ptr<inlet> inlet_from(int descriptor, std::shared_ptr<watched_sockets> by,
                                  std::uint64_t id) {
  socket_owner own{::fcntl(descriptor, F_DUPFD_CLOEXEC, 0)};
  if (own.descriptor() < 0 || !by->add(own.descriptor(), id))
    return nullptr;
  return std::make_unique<tcp_inlet>(std::move(own), std::move(by), id);
}

} // namespace fly::cluster
