#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "fly/cluster/inlet.hpp"

namespace fly::test {

/// What an inlet gives, a piece at a time, and what was asked of it.
struct source {
  std::deque<std::string> pieces;
  bool ended = false;
  bool watched = true;
  bool open = false;
  std::function<void()> on_wait{};
};

struct fake_inlet : cluster::inlet {
  explicit fake_inlet(source& from) : from(from) { from.open = true; }
  ~fake_inlet() override { from.open = false; }
  void watch(bool by_owner) noexcept override { from.watched = by_owner; }
  bool wait_until(std::chrono::steady_clock::time_point) noexcept override {
    if (from.on_wait)
      std::exchange(from.on_wait, nullptr)();
    return !from.pieces.empty() || from.ended;
  }
  std::ptrdiff_t read(std::span<char> into) noexcept override {
    if (from.pieces.empty())
      return from.ended ? -1 : 0;
    auto& piece = from.pieces.front();
    auto count = std::min(piece.size(), into.size());
    std::copy_n(piece.begin(), count, into.begin());
    piece.erase(0, count);
    if (piece.empty())
      from.pieces.pop_front();
    return static_cast<std::ptrdiff_t>(count);
  }
  source& from;
};

} // namespace fly::test
