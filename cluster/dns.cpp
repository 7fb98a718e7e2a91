#include "fly/cluster/dns.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <utility>

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

// What c-ares 1.34 (Debian 13) deprecates has no counterpart in 1.18 (Debian 12), and still works.
#define CARES_NO_DEPRECATED
#include <ares.h>

#include "fly/actors/error.hpp"

namespace fly::cluster {

namespace {

using std::chrono::steady_clock;

constexpr int class_internet = 1; // RFC 1035, 3.2.4
constexpr int type_text = 16;     // RFC 1035, 3.2.2

caf::error failed(const std::string& name, const std::string& why) {
  return make_error(errc::dns_failed, name + ": " + why);
}

/// One channel, for one call: so a changed resolv.conf is read.
class open_channel {
public:
  open_channel(const std::string& server, std::chrono::milliseconds time_max) {
    ares_options options{};
    options.flags = ARES_FLAG_EDNS; // the list of machines is soon longer than 512 bytes
    options.tries = 2;              // the second waits twice as long: a third and two thirds
    options.timeout = static_cast<int>(std::max<std::int64_t>(time_max.count() / 3, 1));
    status_ = ares_init_options(&channel_, &options,
                                ARES_OPT_FLAGS | ARES_OPT_TRIES | ARES_OPT_TIMEOUTMS);
    if (status_ != ARES_SUCCESS)
      return;
    opened_ = true;
    if (!server.empty())
      status_ = ares_set_servers_ports_csv(channel_, server.c_str());
  }

  ~open_channel() {
    if (opened_)
      ares_destroy(channel_);
  }

  open_channel(const open_channel&) = delete;
  open_channel& operator=(const open_channel&) = delete;

  ares_channel get() const { return channel_; }
  int status() const { return status_; }

private:
  ares_channel channel_ = nullptr;
  int status_ = ARES_SUCCESS;
  bool opened_ = false;
};

/// What a callback of c-ares fills.
template <class T>
struct slot {
  std::string name;
  T value{};                    // where status is ARES_SUCCESS
  int status = ARES_ECANCELLED; // where `done`
  bool done = false;

  void skip() {
    done = true;
    status = ARES_SUCCESS;
  }
};

void on_addresses(void* argument, int status, int, ares_addrinfo* found) {
  auto& answer = *static_cast<slot<std::vector<std::string>>*>(argument);
  answer.done = true;
  answer.status = status;
  if (status != ARES_SUCCESS)
    return;
  std::vector<std::string> result;
  for (auto* node = found->nodes; node != nullptr; node = node->ai_next) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const void* address =
        node->ai_family == AF_INET
            ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(node->ai_addr)->sin_addr)
            : static_cast<const void*>(&reinterpret_cast<sockaddr_in6*>(node->ai_addr)->sin6_addr);
    if (inet_ntop(node->ai_family, address, text.data(), text.size()) != nullptr)
      result.emplace_back(text.data());
  }
  ares_freeaddrinfo(found);
  std::sort(result.begin(), result.end());
  answer.value = std::move(result);
}

void on_text(void* argument, int status, int, unsigned char* reply, int length) {
  auto& answer = *static_cast<slot<std::string>*>(argument);
  ares_txt_ext* parts = nullptr;
  if (status == ARES_SUCCESS)
    status = ares_parse_txt_reply_ext(reply, length, &parts);
  answer.done = true;
  answer.status = status;
  if (status != ARES_SUCCESS)
    return;
  // A record of more than 255 bytes comes in several strings, which belong together as they are.
  std::string result;
  for (auto* part = parts; part != nullptr; part = part->next) {
    if (part->record_start != 0 && !result.empty())
      result += ',';
    result.append(reinterpret_cast<const char*>(part->txt), part->length);
  }
  ares_free_data(parts);
  answer.value = std::move(result);
}

} // namespace

class resolver::impl {
public:
  impl(std::string server, std::chrono::milliseconds time_max)
      : server_(std::move(server)), time_max_(time_max),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  ~impl() {
    if (wake_ >= 0)
      ::close(wake_);
  }

  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  dns_answer ask(const std::string& name, const std::string& text_name) {
    slot<std::vector<std::string>> addresses{.name = name};
    slot<std::string> text{.name = text_name};
    open_channel channel{server_, time_max_};
    if (channel.status() != ARES_SUCCESS) {
      auto why = failed("the name server '" + server_ + "'", ares_strerror(channel.status()));
      return {why, why};
    }
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = ARES_AI_NOSORT; // sorting would open sockets to each address
    if (name.empty())
      addresses.skip();
    else
      ares_getaddrinfo(channel.get(), name.c_str(), nullptr, &hints, on_addresses, &addresses);
    if (text_name.empty())
      text.skip();
    else
      ares_query(channel.get(), text_name.c_str(), class_internet, type_text, on_text, &text);
    bool packets_came = false;
    auto deadline = steady_clock::now() + time_max_;
    while (!(addresses.done && text.done) && !cancelled_) {
      auto left = deadline - steady_clock::now();
      if (left <= left.zero())
        break;
      packets_came |= turn(channel.get(), left);
    }
    ares_cancel(channel.get()); // calls back what is left
    return {take(addresses, packets_came), take(text, packets_came)};
  }

  void cancel() noexcept {
    cancelled_ = true;
    std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(wake_, &one, sizeof(one));
  }

private:
  template <class T>
  caf::expected<T> take(slot<T>& from, bool packets_came) const {
    if (from.status == ARES_SUCCESS)
      return std::move(from.value);
    // The time was over, which c-ares and we notice by turns. It drops what it cannot read, or did
    // not ask, without a word: anybody could have sent that.
    // So c-ares 1.18 calls servers that were asked in vain, whatever they answered; 1.34 says more.
    bool asked_in_vain = from.status == ARES_ECONNREFUSED && packets_came;
    if (asked_in_vain || from.status == ARES_ESERVFAIL || from.status == ARES_EREFUSED)
      return failed(from.name, "the name server answers that it cannot (SERVFAIL or REFUSED)");
    bool late = from.status == ARES_ETIMEOUT || (from.status == ARES_ECANCELLED && !cancelled_);
    if (!late)
      return failed(from.name, ares_strerror(from.status));
    auto within = " within " + std::to_string(time_max_.count()) + " ms";
    if (!packets_came)
      return failed(from.name, "no answer" + within);
    return failed(from.name, "no whole answer" + within +
                                 ", though packets came: some cannot be read, or answer what was "
                                 "not asked; is it a name server?");
  }

  /// Waits for the next event of the channel, for `longest` at most, and lets it work; a time below
  /// zero would be for ever. Returns whether bytes came.
  bool turn(ares_channel channel, steady_clock::duration longest) const {
    assert(longest >= longest.zero());
    std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
    auto bits = static_cast<unsigned>(
        ares_getsock(channel, sockets.data(), static_cast<int>(sockets.size())));
    std::array<pollfd, ARES_GETSOCK_MAXNUM + 1> polled{};
    polled[0] = {wake_, POLLIN, 0};
    nfds_t count = 1;
    for (unsigned i = 0; i < sockets.size(); ++i) {
      auto reads = ARES_GETSOCK_READABLE(bits, i) != 0;
      auto writes = ARES_GETSOCK_WRITABLE(bits, i) != 0;
      if (reads || writes)
        polled[count++] = {sockets[i], short((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)), 0};
    }
    auto left = std::chrono::duration_cast<std::chrono::microseconds>(longest);
    timeval most{left.count() / 1'000'000, left.count() % 1'000'000};
    timeval next{};
    auto* wait = ares_timeout(channel, &most, &next);
    ::poll(polled.data(), count, static_cast<int>(wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1));
    bool any = false;
    bool readable = false;
    for (nfds_t i = 1; i < count; ++i) {
      auto events = polled[i].revents;
      any |= events != 0;
      readable |= (events & POLLIN) != 0;
      if (events != 0)
        ares_process_fd(channel, (events & ~POLLOUT) != 0 ? polled[i].fd : ARES_SOCKET_BAD,
                        (events & POLLOUT) != 0 ? polled[i].fd : ARES_SOCKET_BAD);
    }
    if (!any)
      ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); // its own timeouts
    return readable;
  }

  std::string server_;
  std::chrono::milliseconds time_max_;
  int wake_;
  std::atomic<bool> cancelled_{false};
};

resolver::resolver(std::string server, std::chrono::milliseconds time_max)
    : impl_(std::make_unique<impl>(std::move(server), time_max)) {}

resolver::~resolver() = default;

dns_answer resolver::ask(const std::string& name, const std::string& text_name) {
  return impl_->ask(name, text_name);
}

void resolver::cancel() noexcept {
  impl_->cancel();
}

} // namespace fly::cluster
