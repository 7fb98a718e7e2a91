#include "apps/local/control.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace fly::local {

namespace {

using cluster::socket_owner;

constexpr int ask_ms_max = 1000;
constexpr int answer_ms_max = 120'000; // a database that is rebuilt over a long line takes a while
const char* const socket_name = "keeper.sock";

std::runtime_error failed(const std::string& what) {
  return std::runtime_error{what + ": " + std::strerror(errno)};
}

socket_owner local_socket(int flags) {
  return socket_owner{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)};
}

/// The address of the socket in a folder, by a descriptor of it: a path may be longer than an
/// address holds.
struct socket_in {
  explicit socket_in(const std::filesystem::path& path)
      : folder(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    address.sun_family = AF_UNIX;
    auto text = "/proc/self/fd/" + std::to_string(folder.descriptor()) + "/" + socket_name;
    std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  }

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }

  socket_owner folder;
  sockaddr_un address{};
};

bool is_same_user(int descriptor) {
  ucred who{};
  socklen_t size = sizeof(who);
  return ::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
         (who.uid == ::getuid() || who.uid == 0);
}

/// Reads until the other side has said all, for at most `timeout_ms` between two pieces.
std::string read_all(int descriptor, int timeout_ms) {
  std::string result;
  std::array<char, 4096> buffer;
  for (pollfd wait{descriptor, POLLIN, 0}; ::poll(&wait, 1, timeout_ms) > 0;) {
    auto count = ::recv(descriptor, buffer.data(), buffer.size(), 0);
    if (count <= 0)
      return count == 0 ? result : std::string{};
    result.append(buffer.data(), static_cast<std::size_t>(count));
    if (result.size() > control_bytes_max)
      return {};
  }
  return {};
}

/// Sends all and says that it is all. Returns whether it went.
bool send_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    auto count = ::send(descriptor, text.data(), text.size(), MSG_NOSIGNAL);
    if (count <= 0)
      return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return ::shutdown(descriptor, SHUT_WR) == 0;
}

} // namespace

control_door::control_door(const std::filesystem::path& folder)
    : socket_(local_socket(SOCK_NONBLOCK)) {
  socket_in where{folder};
  if (::bind(socket_.descriptor(), where.get(), sizeof(where.address)) != 0 ||
      ::listen(socket_.descriptor(), 16) != 0)
    throw failed("cannot open " + (folder / socket_name).string());
}

void control_door::serve(const std::function<std::string(const std::string&)>& answer) const {
  socket_owner client{::accept4(socket_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC)};
  if (client.descriptor() < 0 || !is_same_user(client.descriptor()))
    return;
  timeval longest{.tv_sec = 1, .tv_usec = 0};
  ::setsockopt(client.descriptor(), SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof(longest));
  auto question = read_all(client.descriptor(), ask_ms_max);
  if (!question.empty())
    send_all(client.descriptor(), answer(question));
}

std::string ask_keeper(const std::filesystem::path& folder, const std::string& question) {
  auto link = local_socket(0);
  socket_in where{folder};
  if (::connect(link.descriptor(), where.get(), sizeof(where.address)) != 0)
    throw failed("the keeper of " + folder.string() + " cannot be asked");
  send_all(link.descriptor(), question);
  auto result = read_all(link.descriptor(), answer_ms_max);
  if (result.empty())
    throw std::runtime_error{"the keeper of " + folder.string() + " gives no answer"};
  return result;
}

} // namespace fly::local
