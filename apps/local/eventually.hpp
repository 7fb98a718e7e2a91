#pragma once

#include <chrono>
#include <thread>

namespace fly::local {

/// Waits until `claim()` holds, asking every few milliseconds. Returns false after `timeout`.
template <class Claim>
bool eventually(Claim claim,
                std::chrono::milliseconds timeout = std::chrono::milliseconds{30'000}) {
  auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!claim()) {
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return true;
}

} // namespace fly::local
