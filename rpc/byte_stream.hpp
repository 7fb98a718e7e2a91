#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "fly/rpc/function.hpp"

/// Primitive values to bytes and back, as CAF 0.17's binary_serializer writes them: numbers
/// big-endian, sizes in groups of 7 bits, the lowest first.
namespace fly::rpc::detail {

/// Appends primitive values to a buffer.
class byte_writer {
public:
  explicit byte_writer(bytes& out) : out_(out) {}

  /// Appends the low `count` bytes of `number`, highest first. 1 <= count <= 8.
  void number(std::uint64_t number, std::size_t count);
  /// Appends a size in groups of 7 bits; false above 2^32 - 1.
  bool size(std::size_t size);
  void raw(const void* data, std::size_t size);
  std::size_t written() const noexcept { return out_.size(); }

private:
  bytes& out_;
};

/// Takes primitive values from a buffer; false where it is too short or malformed.
class byte_reader {
public:
  explicit byte_reader(std::span<const char> in) : in_(in) {}

  bool number(std::uint64_t& number, std::size_t count);
  /// Takes a size of at most 2^32 - 1.
  bool size(std::size_t& size);
  bool raw(void* data, std::size_t size);
  /// Takes `size` bytes; they belong to the buffer.
  bool take(std::size_t size, std::span<const char>& part);
  std::size_t left() const noexcept { return in_.size(); }

private:
  std::span<const char> in_;
};

} // namespace fly::rpc::detail
