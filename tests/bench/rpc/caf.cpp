// CAF's own remote actors, over BASP on loopback only: it must not listen anywhere else.
#include <stdexcept>
#include <thread>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "tests/bench/rpc/peer.hpp"

namespace {

using namespace fly::bench;

struct config : caf::actor_system_config {
  config() {
    load<caf::io::middleman>();
    set("scheduler.policy", caf::atom("sharing"));
    set("middleman.workers", std::size_t{0});
  }
};

caf::behavior echo(caf::event_based_actor*) {
  return {[](const std::string& text) { return text; }};
}

void serve(const std::function<void(std::uint16_t)>& ready) {
  config options;
  caf::actor_system system{options};
  auto it = system.spawn(echo);
  auto port = system.middleman().publish(it, 0, "127.0.0.1");
  if (!port)
    throw std::runtime_error{system.render(port.error())};
  ready(*port);
  for (;;)
    std::this_thread::sleep_for(std::chrono::hours{1});
}

using go_atom = caf::atom_constant<caf::atom("benchGo")>;

/// Keeps a number of requests in flight; answers the first message when all are over.
struct flight_state {
  std::size_t count = 0;
  caf::response_promise done;
};

void request(caf::stateful_actor<flight_state>* self, const caf::actor& whom,
             const std::string& text, stopwatch* time) {
  auto begun = fly::bench::clock::now();
  self->request(whom, caf::infinite, text).then([=](const std::string& answer) {
    if (time->lap(begun) && answer.size() == text.size())
      return request(self, whom, text, time);
    if (--self->state.count == 0)
      self->state.done.deliver(caf::ok_atom::value);
  });
}

caf::behavior flight(caf::stateful_actor<flight_state>* self, caf::actor whom, work what,
                     stopwatch* time) {
  return {[=](go_atom) {
    self->state.count = what.in_flight;
    self->state.done = self->make_response_promise();
    for (std::size_t i = 0; i < what.in_flight; ++i)
      request(self, whom, std::string(what.bytes, 'x'), time);
    return self->state.done;
  }};
}

class caf_client final : public client {
public:
  explicit caf_client(std::uint16_t port) : system_(options_), self_(system_) {
    auto found = system_.middleman().remote_actor("127.0.0.1", port);
    if (!found)
      throw std::runtime_error{system_.render(found.error())};
    whom_ = *found;
  }

  void run(const work& what, stopwatch& time) override {
    if (what.in_flight > 1) {
      auto worker = system_.spawn(flight, whom_, what, &time);
      ask<caf::ok_atom>(worker, go_atom::value);
      self_->send_exit(worker, caf::exit_reason::user_shutdown);
      return;
    }
    std::string text(what.bytes, 'x');
    for (bool more = true; more;) {
      auto begun = fly::bench::clock::now();
      ask<std::string>(whom_, text);
      more = time.lap(begun);
    }
  }

private:
  template <class Answer, class Message>
  void ask(const caf::actor& whom, const Message& message) {
    self_->request(whom, caf::infinite, message)
        .receive(
            [](const Answer&) {},
            [this](const caf::error& reason) { throw std::runtime_error{system_.render(reason)}; });
  }

  config options_;
  caf::actor_system system_;
  caf::scoped_actor self_;
  caf::actor whom_;
};

} // namespace

int main(int argc, char** argv) {
  return peer_main(argc, argv,
                   {serve, [](std::uint16_t port) { return std::make_unique<caf_client>(port); }});
}
