#include "fly/rpc/codec.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace fly::rpc::detail {

bool codec_state::fail(caf::error reason) {
  if (reason && !failure_)
    failure_ = std::move(reason);
  return !failure_;
}

bool codec_state::fail(std::string_view text) {
  return fail(make_error(errc::invalid_argument, std::string{text}));
}

bool decoder::count(std::size_t& n) {
  if (!in_.size(n))
    return cut_off();
  // Each element takes a byte at least, so that a forged size cannot make us loop or allocate.
  return n <= in_.left() || fail("a container claims " + std::to_string(n) + " elements with " +
                                 std::to_string(in_.left()) + " bytes left");
}

bool decoder::finish() {
  return in_.left() == 0 || fail(std::to_string(in_.left()) + " bytes are left over");
}

} // namespace fly::rpc::detail
