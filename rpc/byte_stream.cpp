#include "fly/rpc/byte_stream.hpp"

#include <cstring>
#include <limits>

#include "fly/actors/copy_bytes.hpp"

namespace fly::rpc::detail {

void byte_writer::number(std::uint64_t number, std::size_t count) {
  for (auto left = count; left > 0; --left)
    out_.push_back(static_cast<char>(number >> (8 * (left - 1)) & 0xff));
}

bool byte_writer::size(std::size_t size) {
  if (size > std::numeric_limits<std::uint32_t>::max())
    return false;
  for (; size > 0x7f; size >>= 7)
    out_.push_back(static_cast<char>((size & 0x7f) | 0x80));
  out_.push_back(static_cast<char>(size));
  return true;
}

void byte_writer::raw(const void* data, std::size_t size) {
  actors::append_bytes(out_, data, size);
}

bool byte_reader::number(std::uint64_t& number, std::size_t count) {
  std::span<const char> part;
  if (!take(count, part))
    return false;
  number = 0;
  for (auto byte : part)
    number = number << 8 | static_cast<unsigned char>(byte);
  return true;
}

bool byte_reader::size(std::size_t& size) {
  std::uint64_t total = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    std::uint64_t group = 0;
    if (!number(group, 1))
      return false;
    total |= (group & 0x7f) << shift;
    if ((group & 0x80) == 0) {
      size = total;
      return total <= std::numeric_limits<std::uint32_t>::max();
    }
  }
  return false;
}

bool byte_reader::raw(void* data, std::size_t size) {
  std::span<const char> part;
  if (!take(size, part))
    return false;
  auto* to = static_cast<char*>(data);
  actors::for_pieces(part.data(), size, [&to](const char* first, std::size_t count) {
    std::memcpy(to, first, count);
    to += count;
  });
  return true;
}

bool byte_reader::take(std::size_t size, std::span<const char>& part) {
  if (size > in_.size())
    return false;
  part = in_.first(size);
  in_ = in_.subspan(size);
  return true;
}

} // namespace fly::rpc::detail
