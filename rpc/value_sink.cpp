#include "fly/rpc/value_sink.hpp"

#include <bit>
#include <iomanip>
#include <limits>
#include <span>
#include <sstream>
#include <type_traits>

#include <caf/sec.hpp>

namespace fly::rpc {

template <class T>
caf::error value_sink::number(T x) {
  out_.number(x);
  return {};
}

template <class T>
caf::error value_sink::wide_text(const T& x) {
  auto size = x.size();
  if (auto reason = begin_sequence(size))
    return reason;
  using unit = std::conditional_t<sizeof(typename T::value_type) == 2, std::uint16_t,
                                  std::uint32_t>; // char16_t is no less than 16 bits
  for (auto each : x)
    out_.number(static_cast<unit>(each));
  return end_sequence();
}

caf::error value_sink::begin_object(std::uint16_t& type, std::string& name) {
  out_.number(type);
  return type == 0 ? apply_impl(name) : caf::error{};
}

caf::error value_sink::end_object() {
  return {};
}

/// The size has 7 bits a byte, lowest first, 32 at most.
caf::error value_sink::begin_sequence(std::size_t& size) {
  if (size > UINT32_MAX)
    return caf::sec::end_of_stream;
  auto rest = static_cast<std::uint32_t>(size);
  for (; rest > 0x7f; rest >>= 7)
    out_.number(static_cast<std::uint8_t>((rest & 0x7f) | 0x80));
  out_.number(static_cast<std::uint8_t>(rest));
  return {};
}

caf::error value_sink::end_sequence() {
  return {};
}

caf::error value_sink::apply_raw(std::size_t size, void* from) {
  out_.raw({static_cast<const std::byte*>(from), size});
  return {};
}

caf::error value_sink::apply_impl(std::int8_t& x) {
  return number(x);
}

caf::error value_sink::apply_impl(std::uint8_t& x) {
  return number(x);
}

caf::error value_sink::apply_impl(std::int16_t& x) {
  return number(x);
}

caf::error value_sink::apply_impl(std::uint16_t& x) {
  return number(x);
}

caf::error value_sink::apply_impl(std::int32_t& x) {
  return number(x);
}

caf::error value_sink::apply_impl(std::uint32_t& x) {
  return number(x);
}

caf::error value_sink::apply_impl(std::int64_t& x) {
  return number(x);
}

caf::error value_sink::apply_impl(std::uint64_t& x) {
  return number(x);
}

caf::error value_sink::apply_impl(float& x) {
  return number(std::bit_cast<std::uint32_t>(x));
}

caf::error value_sink::apply_impl(double& x) {
  return number(std::bit_cast<std::uint64_t>(x));
}

caf::error value_sink::apply_impl(long double& x) {
  std::ostringstream out; // its format differs between machines, and so CAF writes text, too
  out << std::setprecision(std::numeric_limits<long double>::digits) << x;
  auto text = out.str();
  return apply_impl(text);
}

caf::error value_sink::apply_impl(std::string& x) {
  auto size = x.size();
  if (auto reason = begin_sequence(size))
    return reason;
  out_.raw(cluster::bytes_of(x));
  return end_sequence();
}

caf::error value_sink::apply_impl(std::u16string& x) {
  return wide_text(x);
}

caf::error value_sink::apply_impl(std::u32string& x) {
  return wide_text(x);
}

} // namespace fly::rpc
