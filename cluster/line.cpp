#include "fly/cluster/line.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>

#include "fly/cluster/tcp.hpp"

namespace fly::cluster {

namespace {

class tcp_line final : public line {
public:
  explicit tcp_line(socket_owner socket) : socket_(std::move(socket)) {}

  std::size_t send(std::span<const char> bytes) noexcept override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      auto rest = bytes.subspan(done);
      auto taken =
          ::send(socket_.descriptor(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
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
