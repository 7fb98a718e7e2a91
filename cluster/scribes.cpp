#include "fly/cluster/scribes.hpp"

#include <cassert>
#include <cerrno>
#include <utility>

#include <sys/socket.h>

#include <caf/io/abstract_broker.hpp>
#include <caf/io/doorman.hpp>
#include <caf/io/network/acceptor_impl.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/native_socket.hpp>
#include <caf/io/network/scribe_impl.hpp>
#include <caf/make_counted.hpp>

namespace fly::cluster {

namespace {

using caf::io::network::default_multiplexer;

class direct_scribe final : public caf::io::network::scribe_impl {
public:
  direct_scribe(default_multiplexer& backend, int descriptor,
                std::shared_ptr<const bytes_reader> reader)
      : scribe_impl(backend, descriptor), reader_(std::move(reader)) {}

  bool consume(caf::execution_unit*, const void* data, std::size_t size) override {
    if (detached())
      return false;
    caf::strong_actor_ptr guard{parent()->ctrl()}; // what is read may end the connection
    (*reader_)(hdl(), {static_cast<const std::byte*>(data), size});
    return true;
  }

private:
  std::shared_ptr<const bytes_reader> reader_;
};

/// How CAF's acceptor takes a connection from the system. CAF's own policy keeps to itself why
/// there is none.
class accepting {
public:
  explicit accepting(refusal_listener on_refused) : on_refused_(std::move(on_refused)) {}

  bool try_accept(int& result, int listening) const {
    result = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (result >= 0)
      return true;
    auto problem = errno;
    if (problem == EMFILE || problem == ENFILE || problem == ENOBUFS || problem == ENOMEM)
      on_refused_(problem);
    return false; // nobody is there, or nobody is any more
  }

private:
  const refusal_listener on_refused_;
};

/// As CAF's doorman_impl, with our own scribes and policy.
class direct_doorman final : public caf::io::doorman {
public:
  direct_doorman(default_multiplexer& backend, int descriptor,
                 std::shared_ptr<const bytes_reader> reader, refusal_listener on_refused)
      : doorman(caf::io::network::accept_hdl_from_socket(descriptor)),
        acceptor_(backend, descriptor, std::move(on_refused)), reader_(std::move(reader)) {}

  bool new_connection() override {
    if (detached())
      return false;
    auto& backend = acceptor_.backend();
    auto fresh = caf::make_counted<direct_scribe>(backend, acceptor_.accepted_socket(), reader_);
    auto handle = fresh->hdl();
    parent()->add_scribe(std::move(fresh));
    return doorman::new_connection(&backend, handle);
  }

  void graceful_shutdown() override {
    acceptor_.graceful_shutdown();
    detach(&acceptor_.backend(), false);
  }

  void launch() override { acceptor_.start(this); }
  void add_to_loop() override { acceptor_.activate(this); }
  void remove_from_loop() override { acceptor_.passivate(); }

  std::string addr() const override {
    auto known = caf::io::network::local_addr_of_fd(acceptor_.fd());
    return known ? std::move(*known) : std::string{};
  }

  std::uint16_t port() const override {
    auto known = caf::io::network::local_port_of_fd(acceptor_.fd());
    return known ? *known : std::uint16_t{0};
  }

private:
  caf::io::network::acceptor_impl<accepting> acceptor_;
  std::shared_ptr<const bytes_reader> reader_;
};

default_multiplexer& default_of(caf::io::network::multiplexer& backend) {
  assert(dynamic_cast<default_multiplexer*>(&backend) != nullptr);
  return static_cast<default_multiplexer&>(backend);
}

} // namespace

caf::io::scribe_ptr make_scribe(caf::io::network::multiplexer& backend, int descriptor,
                                std::shared_ptr<const bytes_reader> reader) {
  return caf::make_counted<direct_scribe>(default_of(backend), descriptor, std::move(reader));
}

caf::io::doorman_ptr make_doorman(caf::io::network::multiplexer& backend, int descriptor,
                                  std::shared_ptr<const bytes_reader> reader,
                                  refusal_listener on_refused) {
  return caf::make_counted<direct_doorman>(default_of(backend), descriptor, std::move(reader),
                                           std::move(on_refused));
}

} // namespace fly::cluster
