#include "fly/cluster/scribes.hpp"

#include <cassert>
#include <utility>

#include <caf/io/abstract_broker.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/doorman_impl.hpp>
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

class direct_doorman final : public caf::io::network::doorman_impl {
public:
  direct_doorman(default_multiplexer& backend, int descriptor,
                 std::shared_ptr<const bytes_reader> reader)
      : doorman_impl(backend, descriptor), reader_(std::move(reader)) {}

  bool new_connection() override {
    if (detached())
      return false;
    auto& backend = acceptor_.backend();
    auto fresh = caf::make_counted<direct_scribe>(backend, acceptor_.accepted_socket(), reader_);
    auto handle = fresh->hdl();
    parent()->add_scribe(std::move(fresh));
    return doorman::new_connection(&backend, handle);
  }

private:
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
                                  std::shared_ptr<const bytes_reader> reader) {
  return caf::make_counted<direct_doorman>(default_of(backend), descriptor, std::move(reader));
}

} // namespace fly::cluster
