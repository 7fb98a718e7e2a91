#include "fly/cluster/line.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "fly/cluster/tcp.hpp"

namespace fly::cluster {

namespace {

constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

iovec part(std::span<const char> bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size()}; // sending changes nothing
}

class tcp_line final : public line {
public:
  explicit tcp_line(socket_owner socket) : socket_(std::move(socket)) {}

  std::size_t send(std::span<const char> bytes, std::span<const char> more) noexcept override {
    std::size_t done = 0;
    while (done < bytes.size() + more.size()) {
      auto first = bytes.subspan(std::min(done, bytes.size()));
      auto second = more.subspan(done - std::min(done, bytes.size()));
      std::array parts{part(first), part(second)};
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = parts.size();
      auto taken = second.empty() ? ::send(socket_.descriptor(), first.data(), first.size(), flags)
                                  : ::sendmsg(socket_.descriptor(), &message, flags);
      if (taken < 0 && errno == EINTR)
        continue;
      if (taken <= 0)
        break; // full, or failed: whoever reads the socket learns of the second
      done += static_cast<std::size_t>(taken);
    }
    return done;
  }

private:
  socket_owner socket_;
};

} // namespace

std::unique_ptr<line> line_into(int descriptor) {
  socket_owner own{::fcntl(descriptor, F_DUPFD_CLOEXEC, 0)};
  if (own.descriptor() < 0)
    return nullptr;
  return std::make_unique<tcp_line>(std::move(own));
}

} // namespace fly::cluster
