#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include <caf/io/accept_handle.hpp>
#include <caf/io/fwd.hpp>

#include "fly/cluster/log.hpp"
#include "fly/cluster/scribes.hpp"
#include "fly/cluster/tcp.hpp"

namespace fly::cluster {

/// Where strangers come in. A process without a descriptor to give them rests for a moment: CAF's
/// own acceptor tries again without a pause, and takes a processor for it. Only on the I/O thread.
class front_door : public std::enable_shared_from_this<front_door> {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Time between two attempts while there is no descriptor.
  static constexpr std::chrono::milliseconds rest{100};

  /// Of the broker `self`, which outlives it.
  front_door(caf::io::broker* self, log_sink log) : self_(self), log_(std::move(log)) {}

  /// Lets in who dials `listening`, read by `reader`. Call once, if at all.
  void open(socket_owner listening, std::shared_ptr<const bytes_reader> reader);

  /// Opens again where the rest is over.
  void on_tick(time_point now);

  /// Closes for good. Returns false where that is not possible yet: call again in a later turn of
  /// the I/O loop.
  bool close();

private:
  /// Whether CAF accepts: a change takes until the next turn of its loop, which forgets a `trigger`
  /// in the turn of a `halt` and the other way round (CAF 0.17.6).
  enum class state : std::uint8_t { closed, open, pausing, paused, resuming };

  void on_refused(int problem);
  void resume();
  void then(state next);

  caf::io::broker* self_;
  const log_sink log_;
  caf::io::accept_handle doorman_;
  state state_ = state::closed;
  bool closing_ = false; // it will not rest again
  time_point opens_at_{};
  time_point quiet_until_{}; // the log has had its line
};

} // namespace fly::cluster
