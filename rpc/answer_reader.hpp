#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "fly/cluster/channel.hpp"
#include "fly/rpc/call.hpp"

namespace fly::rpc {

/// A thread that is to wait for one call and do nothing else: where nobody else has asked that
/// member it reads the answer off the link itself, so that no other thread has to wake up for it.
/// Lives on that thread's stack.
class answer_reader {
public:
  answer_reader() = default;

  /// Lets `sink` have the result where this thread reads it.
  explicit answer_reader(result_sink sink) : sink_(std::move(sink)) {}

  /// Takes the turn at `link`, where it is to be had, for the answer to the call `id`, which is not
  /// sent yet.
  void begin(const std::shared_ptr<cluster::channel>& link, std::uint64_t id) {
    turn_ = link->reading().begin();
    if (!turn_)
      return;
    link_ = link;
    id_ = id;
  }

  /// Gives the turn back.
  void end() noexcept { turn_ = {}; }

  /// Reads until `take` has had the answer's frame, or something else comes, or some milliseconds
  /// have passed, or `until`. Nothing without a turn.
  void read(std::chrono::steady_clock::time_point until,
            const std::function<void(const std::shared_ptr<cluster::channel>&,
                                     const cluster::frame&)>& take);

  /// Returns where a result is to go; empty for the call's outcome.
  const result_sink& sink() const noexcept { return sink_; }

private:
  result_sink sink_;
  std::shared_ptr<cluster::channel> link_; // before turn_, which is its
  std::uint64_t id_ = 0;
  cluster::reading_loan::turn turn_;
};

} // namespace fly::rpc
