#include "fly/cluster/loop_entry.hpp"

#include <cassert>

#include <caf/io/network/default_multiplexer.hpp>

namespace fly::cluster {

using caf::io::network::default_multiplexer;
using caf::io::network::operation;

namespace {

default_multiplexer& default_of(caf::io::network::multiplexer& backend) {
  assert(dynamic_cast<default_multiplexer*>(&backend) != nullptr);
  return static_cast<default_multiplexer&>(backend);
}

} // namespace

loop_entry::loop_entry(caf::io::network::multiplexer& backend, int descriptor)
    : event_handler(default_of(backend), caf::io::network::invalid_native_socket) {
  fd_ = descriptor; // not a socket: none of a socket's options
  default_of(backend).add(operation::read, fd_, this);
}

void loop_entry::leave() {
  left_ = true;
  backend().del(operation::read, fd_, this);
}

} // namespace fly::cluster
