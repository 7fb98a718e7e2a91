#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace fly::actors {

/// Most bytes that are copied at a time: below the size from which glibc uses `rep movsb`, which
/// some processors (AMD Zen 3, also within virtual machines) run at a fifteenth of the speed where
/// source and target are not aligned alike: 64 KiB took 25 us and not 1.6.
inline constexpr std::size_t copied_bytes_max = 2048;

/// Calls `append(first, count)` for the pieces of `[data, data + size)`, in order.
template <class Append>
void for_pieces(const char* data, std::size_t size, Append append) {
  while (size > 0) {
    auto count = std::min(size, copied_bytes_max);
    append(data, count);
    data += count;
    size -= count;
  }
}

/// Appends `size` bytes to `out`, a std::vector<char>, std::vector<std::byte> or std::string.
template <class Container>
void append_bytes(Container& out, const void* data, std::size_t size) {
  using value = typename Container::value_type;
  if (auto wanted = out.size() + size; wanted > out.capacity())
    out.reserve(std::max(wanted, out.capacity() * 2));
  for_pieces(static_cast<const char*>(data), size, [&out](const char* first, std::size_t count) {
    const auto* from = reinterpret_cast<const value*>(first);
    out.insert(out.end(), from, from + count);
  });
}

} // namespace fly::actors
