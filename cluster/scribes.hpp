#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include <caf/io/fwd.hpp>

namespace fly::cluster {

/// Takes what one connection has read; valid during the call only. On the I/O thread.
using bytes_reader =
    std::function<void(caf::io::connection_handle from, std::span<const std::byte> bytes)>;

/// Returns a scribe that hands what it reads straight to `reader`, without a message to its broker,
/// and keeps its buffer: CAF's own clears as many bytes as may come before each read. `backend` is
/// CAF's default multiplexer. The broker ends before what `reader` refers to.
caf::io::scribe_ptr make_scribe(caf::io::network::multiplexer& backend, int descriptor,
                                std::shared_ptr<const bytes_reader> reader);

/// Hears why nobody can be accepted though somebody waits (EMFILE, ENOMEM ...). On the I/O thread.
using refusal_listener = std::function<void(int problem)>;

/// Returns a doorman that makes such scribes of what it accepts, and tells `on_refused` where the
/// process has no room for them: it is called again at once, unless the doorman is halted.
caf::io::doorman_ptr make_doorman(caf::io::network::multiplexer& backend, int descriptor,
                                  std::shared_ptr<const bytes_reader> reader,
                                  refusal_listener on_refused);

} // namespace fly::cluster
