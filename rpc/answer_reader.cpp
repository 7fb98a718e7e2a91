#include "fly/rpc/answer_reader.hpp"

#include "fly/rpc/message.hpp"

namespace fly::rpc {

void answer_reader::read(std::chrono::steady_clock::time_point until,
                         const std::function<void(const std::shared_ptr<cluster::channel>&,
                                                  const cluster::frame&)>& take) {
  if (turn_)
    link_->reading().read(
        std::exchange(turn_, {}),
        [this](const cluster::frame& received) { return is_answer_to(id_, received); },
        [&](const cluster::frame& received) { take(link_, received); }, until);
}

} // namespace fly::rpc
