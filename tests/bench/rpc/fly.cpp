// fly itself: typed calls through codec, registry and admission. One call at a time blocks as
// `fly::rpc_member` does; many are in flight as callbacks of `endpoint::start`.
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "fly/actors/error.hpp"
#include "fly/cluster/address.hpp"
#include "fly/cluster/node.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/verbs.hpp"
#include "tests/bench/rpc/peer.hpp"

namespace {

using namespace fly::bench;
using namespace std::chrono_literals;

inline constexpr fly::rpc::function<std::string(std::string)> echo{"bench.echo"};
inline constexpr fly::rpc::function<std::string(std::string)> echo_pool{"bench.echo_pool"};

fly::cluster::options settings(const std::string& id, const std::string& peer) {
  fly::cluster::options result;
  result.machine_id = id;
  result.region = id;
  result.listen = "127.0.0.1:0";
  result.busy_poll = fly::cluster::options::from_env().busy_poll; // FLY_BUSY_POLL_US=0 for without
  if (!peer.empty())
    result.peers = {peer};
  if (auto folder = tls_folder(); !folder.empty()) {
    result.app = tls_app;
    result.dns_name = "127.0.0.1"; // nothing to ask
    result.secret = "bench";
    result.tls = {folder + "/node.pem", folder + "/node.key", folder + "/ca.pem"};
  }
  return result;
}

void serve(const std::function<void(std::uint16_t)>& ready) {
  fly::cluster::node node{settings("server", "")};
  fly::rpc::endpoint rpc{node};
  auto same = [](std::string text) { return text; };
  rpc.serve(echo, {.on_io_thread = true}, same);
  rpc.serve(echo_pool, same);
  if (auto reason = node.join())
    throw std::runtime_error{fly::to_string(reason)};
  ready(fly::cluster::parse_socket_address(node.self().address, 0)->port);
  for (;;)
    std::this_thread::sleep_for(1h);
}

/// A run of calls in flight: each answer begins the next call, on the thread that brings it.
class flight {
public:
  flight(const fly::rpc::endpoint& rpc, const work& what, stopwatch& time)
      : rpc_(rpc), name_(what.variant.empty() ? echo.name : echo_pool.name), text_(what.bytes, 'x'),
        time_(time), count_(what.in_flight) {}

  void run() {
    auto count = count_;
    for (std::size_t i = 0; i < count; ++i)
      begin();
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return count_ == 0; });
    if (reason_)
      throw std::runtime_error{fly::to_string(reason_)};
  }

private:
  void begin() {
    auto begun = fly::bench::clock::now();
    rpc_.start(whom_, name_, signature_, std::move(*fly::rpc::encode(text_)), begun + 10s,
               [this, begun](caf::expected<fly::rpc::bytes> answer) {
                 on_answer(begun, std::move(answer));
               });
  }

  void on_answer(fly::bench::clock::time_point begun, caf::expected<fly::rpc::bytes> answer) {
    auto text = answer ? fly::rpc::decode_result<std::string>(*answer)
                       : caf::expected<std::string>{answer.error()};
    {
      std::lock_guard guard{mutex_};
      if (text && text->size() != text_.size())
        text = fly::make_error(fly::errc::malformed_result, "another text");
      if (!text)
        reason_ = text.error();
      if (!time_.lap(begun) || reason_) {
        if (--count_ == 0)
          changed_.notify_all();
        return;
      }
    }
    begin();
  }

  const fly::rpc::endpoint& rpc_;
  const fly::rpc::target whom_ = fly::rpc::target::member("server");
  const std::string_view name_;
  const fly::rpc::signature& signature_ = fly::rpc::signature_of<std::string(std::string)>();
  const std::string text_;
  std::mutex mutex_;
  std::condition_variable changed_;
  stopwatch& time_;   // guarded by mutex_
  std::size_t count_; // guarded by mutex_; calls in flight
  caf::error reason_; // guarded by mutex_
};

class fly_client final : public client {
public:
  explicit fly_client(std::uint16_t port)
      : node_(settings("client", "127.0.0.1:" + std::to_string(port))), rpc_(node_) {
    if (auto reason = node_.join())
      throw std::runtime_error{fly::to_string(reason)};
    call(echo, "x");
  }

  void run(const work& what, stopwatch& time) override {
    if (what.in_flight > 1)
      return flight{rpc_, what, time}.run();
    const auto& f = what.variant.empty() ? echo : echo_pool;
    std::string text(what.bytes, 'x');
    for (bool more = true; more;) {
      auto begun = fly::bench::clock::now();
      call(f, text);
      more = time.lap(begun);
    }
  }

private:
  void call(const fly::rpc::function<std::string(std::string)>& f, const std::string& text) {
    auto answer = fly::rpc_member(rpc_.with({.timeout = 10s}), "server", f, text);
    if (!answer)
      throw std::runtime_error{fly::to_string(answer.error())};
    if (answer->size() != text.size())
      throw std::runtime_error{"another text"};
  }

  fly::cluster::node node_;
  fly::rpc::endpoint rpc_;
};

} // namespace

int main(int argc, char** argv) {
  return peer_main(argc, argv,
                   {serve, [](std::uint16_t port) { return std::make_unique<fly_client>(port); }});
}
