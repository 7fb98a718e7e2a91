// Cap'n Proto RPC: its own event loop on each side, one thread each; many calls in flight as
// promises, each answer beginning the next call.
#include <stdexcept>

#include <capnp/ez-rpc.h>
#include <kj/async.h>

#include "echo.capnp.h"
#include "tests/bench/rpc/peer.hpp"

namespace {

using namespace fly::bench;

class echo_server final : public Echo::Server {
protected:
  kj::Promise<void> call(CallContext context) override {
    context.getResults().setText(context.getParams().getText());
    return kj::READY_NOW;
  }
};

void serve(const std::function<void(std::uint16_t)>& ready) {
  capnp::EzRpcServer server{kj::heap<echo_server>(), "127.0.0.1"};
  auto& scope = server.getWaitScope();
  ready(static_cast<std::uint16_t>(server.getPort().wait(scope)));
  kj::NEVER_DONE.wait(scope);
}

class capnp_client final : public client {
public:
  explicit capnp_client(std::uint16_t port)
      : connection_("127.0.0.1", port), echo_(connection_.getMain<Echo>()) {}

  ~capnp_client() noexcept override {} // those of its members may throw

  void run(const work& what, stopwatch& time) override {
    std::string text(what.bytes, 'x');
    auto calls = kj::heapArrayBuilder<kj::Promise<void>>(what.in_flight);
    for (std::size_t i = 0; i < what.in_flight; ++i)
      calls.add(call(text, time));
    kj::joinPromises(calls.finish()).wait(connection_.getWaitScope());
  }

private:
  kj::Promise<void> call(const std::string& text, stopwatch& time) {
    auto begun = fly::bench::clock::now();
    auto request = echo_.callRequest();
    request.setText(kj::arrayPtr(reinterpret_cast<const kj::byte*>(text.data()), text.size()));
    return request.send().then([this, &text, &time, begun](
                                   capnp::Response<Echo::CallResults> answer) -> kj::Promise<void> {
      if (answer.getText().size() != text.size())
        throw std::runtime_error{"another text"};
      if (!time.lap(begun))
        return kj::READY_NOW;
      return call(text, time);
    });
  }

  capnp::EzRpcClient connection_;
  Echo::Client echo_;
};

} // namespace

int main(int argc, char** argv) {
  return peer_main(
      argc, argv, {serve, [](std::uint16_t port) { return std::make_unique<capnp_client>(port); }});
}
