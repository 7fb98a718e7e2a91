#include "fly/cluster/polling.hpp"

#include <algorithm>

namespace fly::cluster {

void polling::on_read(std::size_t frames, time_point now) noexcept {
  if (frames < batch_frames_min || longest_.count() == 0)
    return;
  last_ = now;
  if (on_) {
    left_out_ /= 2; // found: by and by the failures are forgotten
  } else if (to_leave_out_ > 0) {
    --to_leave_out_;
  } else {
    on_ = true;
  }
}

void polling::on_offer(time_point offered, time_point now) noexcept {
  if (!on_ || (now - offered <= offer_max && now - last_ < longest_))
    return;
  on_ = false;
  left_out_ = std::min(2 * left_out_ + 1, left_out_max);
  to_leave_out_ = left_out_;
}

} // namespace fly::cluster
