#include "fly/cluster/frame.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <string>

#include "fly/actors/copy_bytes.hpp"
#include "fly/actors/error.hpp"

namespace fly::cluster {

namespace {

constexpr std::size_t length_bytes = 4;

/// How much memory is taken for the rest of a frame before it has come.
constexpr std::size_t reserved_bytes_max = 128 * 1024;

/// Returns the whole length of the frame that starts with `begin`, 0 where that is not known yet.
caf::expected<std::size_t> whole_bytes(std::span<const std::byte> begin,
                                       std::size_t frame_bytes_max) {
  if (begin.size() < length_bytes)
    return std::size_t{0};
  std::size_t length = 0;
  for (auto byte : begin.first(length_bytes))
    length = (length << 8) | std::to_integer<std::size_t>(byte);
  if (length == 0)
    return make_error(errc::malformed_frame, "a frame of length 0");
  if (length > frame_bytes_max)
    return make_error(errc::frame_too_large, "a frame of " + std::to_string(length) +
                                                 " bytes, the limit is " +
                                                 std::to_string(frame_bytes_max));
  return length_bytes + length;
}

frame whole_frame(std::span<const std::byte> bytes) {
  return {static_cast<frame_kind>(bytes[length_bytes]), bytes.subspan(frame_head_bytes)};
}

} // namespace

void append_frame_begin(std::vector<char>& out, frame_kind kind, std::span<const std::byte> head,
                        std::size_t body_bytes) {
  auto length = 1 + head.size() + body_bytes;
  assert(length <= UINT32_MAX);
  const std::array begin{static_cast<char>(length >> 24), static_cast<char>(length >> 16),
                         static_cast<char>(length >> 8), static_cast<char>(length),
                         static_cast<char>(kind)};
  actors::append_bytes(out, begin.data(), begin.size());
  actors::append_bytes(out, head.data(), head.size());
}

void append_frame(std::vector<char>& out, frame_kind kind, std::span<const std::byte> head,
                  std::span<const std::byte> body) {
  append_frame_begin(out, kind, head, body.size());
  actors::append_bytes(out, body.data(), body.size());
}

caf::expected<std::optional<frame>> first_frame(std::span<const std::byte> bytes,
                                                std::size_t frame_bytes_max) {
  auto whole = whole_bytes(bytes, frame_bytes_max);
  if (!whole)
    return std::move(whole.error());
  if (*whole == 0 || bytes.size() < *whole)
    return std::optional<frame>{};
  return std::optional{whole_frame(bytes.first(*whole))};
}

void frame_parser::feed(std::span<const std::byte> bytes) {
  assert(fed_.empty());
  fed_ = bytes;
}

caf::expected<std::optional<frame>> frame_parser::next() {
  if (broken_)
    return broken_;
  if (partial_is_out_) {
    partial_.clear();
    // One huge frame must not hold its memory for the connection's life.
    if (partial_.capacity() > 256 * 1024)
      partial_.shrink_to_fit();
    partial_is_out_ = false;
  }
  // First the head: enough to know the length, wherever it lies.
  while (!partial_.empty() && partial_.size() < length_bytes && !fed_.empty()) {
    partial_.push_back(fed_.front());
    fed_ = fed_.subspan(1);
  }
  auto whole =
      whole_bytes(partial_.empty() ? fed_ : std::span<const std::byte>{partial_}, frame_bytes_max_);
  if (!whole) {
    broken_ = whole.error();
    return broken_;
  }
  if (partial_.empty() && *whole != 0 && fed_.size() >= *whole) {
    auto bytes = fed_.first(*whole); // the usual case: nothing is copied
    fed_ = fed_.subspan(*whole);
    return std::optional{whole_frame(bytes)};
  }
  auto wanted = *whole == 0 ? fed_.size() : std::min(fed_.size(), *whole - partial_.size());
  if (*whole < partial_.size() + wanted + reserved_bytes_max)
    partial_.reserve(*whole); // else as it comes: a forged length must not take the memory
  actors::append_bytes(partial_, fed_.data(), wanted);
  fed_ = fed_.subspan(wanted);
  if (*whole == 0 || partial_.size() < *whole)
    return std::optional<frame>{};
  partial_is_out_ = true;
  return std::optional{whole_frame(partial_)};
}

} // namespace fly::cluster
