#include "fly/rpc/value_source.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <type_traits>

#include <caf/sec.hpp>

namespace fly::rpc {

namespace {

caf::error too_short() {
  return caf::sec::end_of_stream;
}

} // namespace

template <class T>
caf::error value_source::number(T& x) {
  x = in_.number<T>();
  return in_.ok() ? caf::error{} : too_short();
}

template <class T>
caf::error value_source::wide_text(T& x) {
  std::size_t size = 0;
  if (auto reason = begin_sequence(size))
    return reason;
  x.clear();
  using unit = std::conditional_t<sizeof(typename T::value_type) == 2, std::uint16_t,
                                  std::uint32_t>; // char16_t is no less than 16 bits
  for (std::size_t i = 0; i < size; ++i) {
    unit next = 0;
    if (auto reason = number(next))
      return reason;
    x.push_back(static_cast<typename T::value_type>(next));
  }
  return end_sequence();
}

caf::error value_source::begin_object(std::uint16_t& type, std::string& name) {
  if (auto reason = number(type))
    return reason;
  return type == 0 ? apply_impl(name) : caf::error{};
}

caf::error value_source::end_object() {
  return {};
}

/// The size has 7 bits a byte, lowest first, 32 at most.
caf::error value_source::begin_sequence(std::size_t& size) {
  std::uint64_t read = 0;
  for (unsigned shift = 0;; shift += 7) {
    auto next = in_.number<std::uint8_t>();
    if (!in_.ok() || shift > 28)
      return too_short();
    read |= static_cast<std::uint64_t>(next & 0x7f) << shift;
    if ((next & 0x80) == 0)
      break;
  }
  if (read > in_.rest().size() * 8 || depth_ == depth_max)
    return too_short();
  ++depth_;
  size = static_cast<std::size_t>(read);
  return {};
}

caf::error value_source::end_sequence() {
  --depth_;
  return {};
}

caf::error value_source::apply_raw(std::size_t size, void* to) {
  auto bytes = in_.raw(size);
  if (!in_.ok())
    return too_short();
  std::copy(bytes.begin(), bytes.end(), static_cast<std::byte*>(to));
  return {};
}

caf::error value_source::apply_impl(std::int8_t& x) {
  return number(x);
}

caf::error value_source::apply_impl(std::uint8_t& x) {
  return number(x);
}

caf::error value_source::apply_impl(std::int16_t& x) {
  return number(x);
}

caf::error value_source::apply_impl(std::uint16_t& x) {
  return number(x);
}

caf::error value_source::apply_impl(std::int32_t& x) {
  return number(x);
}

caf::error value_source::apply_impl(std::uint32_t& x) {
  return number(x);
}

caf::error value_source::apply_impl(std::int64_t& x) {
  return number(x);
}

caf::error value_source::apply_impl(std::uint64_t& x) {
  return number(x);
}

caf::error value_source::apply_impl(float& x) {
  std::uint32_t packed = 0;
  if (auto reason = number(packed))
    return reason;
  x = std::bit_cast<float>(packed);
  return {};
}

caf::error value_source::apply_impl(double& x) {
  std::uint64_t packed = 0;
  if (auto reason = number(packed))
    return reason;
  x = std::bit_cast<double>(packed);
  return {};
}

caf::error value_source::apply_impl(long double& x) {
  std::string text; // so does CAF write it
  if (auto reason = apply_impl(text))
    return reason;
  x = std::strtold(text.c_str(), nullptr); // a stream reads no infinity
  return {};
}

caf::error value_source::apply_impl(std::string& x) {
  std::size_t size = 0;
  if (auto reason = begin_sequence(size))
    return reason;
  auto bytes = in_.raw(size);
  if (!in_.ok())
    return too_short();
  x.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return end_sequence();
}

caf::error value_source::apply_impl(std::u16string& x) {
  return wide_text(x);
}

caf::error value_source::apply_impl(std::u32string& x) {
  return wide_text(x);
}

} // namespace fly::rpc
