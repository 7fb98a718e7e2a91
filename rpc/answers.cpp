#include "fly/rpc/answers.hpp"

#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/channel.hpp"
#include "fly/cluster/wire.hpp"
#include "fly/rpc/message.hpp"

namespace fly::rpc {

namespace {

std::vector<char> head_for(const return_address& to, caf::error reason) {
  return head_of(answer_message{to.id, std::move(reason), {}, to.parts ? *to.parts : call_parts{}});
}

} // namespace

void answers::send(const return_address& to, caf::expected<bytes> outcome) {
  if (outcome && !to.parts) { // the usual case: nothing is copied unless it has to wait
    auto head = result_head(to.id);
    if (!to.link->send(answer_frame, head, cluster::bytes_of(*outcome)))
      return;
  }
  kept answer{to, {}, {}};
  if (outcome) {
    answer.head = head_for(answer.to, {});
    answer.result = std::move(*outcome);
  } else {
    answer.head = head_for(answer.to, outcome.error());
  }
  auto& link = *answer.to.link;
  auto refused =
      link.send(answer_frame, cluster::bytes_of(answer.head), cluster::bytes_of(answer.result));
  if (refused == errc::frame_too_large) {
    // It ran, and the caller has to know.
    auto text = "the answer of " + answer.to.name + " is too large: " + text_of(refused);
    answer.head = head_for(answer.to, make_error(errc::malformed_result, std::move(text)));
    answer.result.clear();
    refused = link.send(answer_frame, cluster::bytes_of(answer.head));
  }
  if (refused == errc::overloaded)
    keep(std::move(answer));
}

void answers::keep(kept late) {
  std::lock_guard guard{mutex_};
  if (late_bytes_ + late.size() > kept_bytes_max)
    return;
  late_bytes_ += late.size();
  late_.push_back(std::move(late));
}

void answers::flush(std::chrono::steady_clock::time_point now) {
  std::deque<kept> todo;
  {
    std::lock_guard guard{mutex_};
    todo.swap(late_);
    late_bytes_ = 0;
  }
  for (auto& each : todo) {
    if (each.to.deadline <= now)
      continue;
    auto refused = each.to.link->send(answer_frame, cluster::bytes_of(each.head),
                                      cluster::bytes_of(each.result));
    if (refused == errc::overloaded)
      keep(std::move(each));
  }
}

std::size_t answers::kept_bytes() const {
  std::lock_guard guard{mutex_};
  return late_bytes_;
}

} // namespace fly::rpc
