#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "fly/actors/copy_bytes.hpp"

namespace fly::cluster {

/// Returns the bytes of `text`, not copied.
inline std::span<const std::byte> bytes_of(std::string_view text) noexcept {
  return std::as_bytes(std::span{text.data(), text.size()});
}

/// Returns the bytes of `buffer`, not copied.
inline std::span<const std::byte> bytes_of(const std::vector<char>& buffer) noexcept {
  return std::as_bytes(std::span{buffer.data(), buffer.size()});
}

/// Writes the payload of a frame: numbers big-endian, texts as u32 length and bytes. A pure value.
class wire_writer {
public:
  wire_writer() { out_.reserve(64); } // most are shorter

  /// Appends an unsigned or signed integer, or an enumerator, of 1 to 8 bytes.
  template <class T>
  wire_writer& number(T value) {
    static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
    auto bits = static_cast<std::uint64_t>(value);
    char digits[sizeof(T)];
    for (std::size_t i = sizeof(T); i > 0; --i, bits >>= 8)
      digits[i - 1] = static_cast<char>(bits & 0xff);
    out_.insert(out_.end(), digits, digits + sizeof(T));
    return *this;
  }

  /// Appends the length (u32) and the bytes of `text`, which is shorter than 4 GiB.
  wire_writer& text(std::string_view text) {
    assert(text.size() <= UINT32_MAX);
    number(static_cast<std::uint32_t>(text.size()));
    return raw(bytes_of(text));
  }

  /// Appends `bytes` alone, without their length.
  wire_writer& raw(std::span<const std::byte> bytes) {
    actors::append_bytes(out_, bytes.data(), bytes.size());
    return *this;
  }

  /// Returns what was written.
  std::span<const std::byte> bytes() const noexcept { return bytes_of(out_); }

  /// Takes what was written out of the writer.
  std::vector<char> take() noexcept { return std::move(out_); }

private:
  std::vector<char> out_;
};

/// Reads the payload of a frame. Never reads beyond it: once something is missing, `ok()` is false
/// and stays so, and everything read is 0 or empty. A pure value that borrows the bytes.
class wire_reader {
public:
  explicit wire_reader(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}

  /// Returns the next number of the size of T.
  template <class T>
  T number() noexcept {
    static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
    auto bytes = raw(sizeof(T));
    std::uint64_t bits = 0;
    for (auto byte : bytes)
      bits = (bits << 8) | std::to_integer<std::uint64_t>(byte);
    return static_cast<T>(bits);
  }

  /// Returns the next text, borrowed from the payload.
  std::string_view text() noexcept {
    auto bytes = raw(number<std::uint32_t>());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  /// Returns the next `count` bytes, borrowed from the payload.
  std::span<const std::byte> raw(std::size_t count) noexcept {
    if (!ok_ || rest_.size() < count) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    auto result = rest_.first(count);
    rest_ = rest_.subspan(count);
    return result;
  }

  /// Returns what has not been read yet.
  std::span<const std::byte> rest() const noexcept { return rest_; }

  /// Returns whether everything read so far was there.
  bool ok() const noexcept { return ok_; }

  /// Returns whether everything was there and nothing is left.
  bool complete() const noexcept { return ok_ && rest_.empty(); }

private:
  std::span<const std::byte> rest_;
  bool ok_ = true;
};

} // namespace fly::cluster
