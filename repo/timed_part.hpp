#pragma once

#include <chrono>
#include <string_view>

#include "fly/rpc/call_parts.hpp"

namespace fly::repo {

/// Adds the time of its life to a part of a call, where anybody wants to know.
class timed_part {
public:
  timed_part(rpc::call_parts* parts, std::string_view name) : parts_(parts), name_(name) {
    if (parts_ != nullptr)
      begun_ = std::chrono::steady_clock::now();
  }
  ~timed_part() {
    if (parts_ != nullptr)
      parts_->add(name_, rpc::between(begun_, std::chrono::steady_clock::now()));
  }
  timed_part(const timed_part&) = delete;
  timed_part& operator=(const timed_part&) = delete;

private:
  rpc::call_parts* parts_;
  std::string_view name_;
  std::chrono::steady_clock::time_point begun_{};
};

} // namespace fly::repo
