#pragma once

#include <span>
#include <type_traits>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/actors/error.hpp"
#include "fly/actors/what_of.hpp"
#include "fly/rpc/decoder.hpp"
#include "fly/rpc/encoder.hpp"
#include "fly/rpc/function.hpp"

/// Values to bytes and back. The bytes are those of CAF 0.17's binary_serializer (numbers
/// big-endian, sizes as varbyte), with two differences: infinities and NaN travel (CAF's loops for
/// ever on them), and std::vector<bool> takes a byte each. The reading side is our own because
/// CAF's allocates what a forged size asks for.
namespace fly::rpc {

/// Encodes `values` one behind the other. Errors: errc::invalid_argument (nested too deep, a
/// container too large, what the type's own `inspect` throws), an error of the type's `inspect`.
template <class... Ts>
caf::expected<bytes> encode(const Ts&... values) {
  try {
    bytes out;
    out.reserve(64); // most are shorter
    detail::encoder to{out};
    if ((to.value(const_cast<Ts&>(values)) && ...))
      return out;
    return to.failure();
  } catch (...) { // a user's inspect, or no memory
    return make_error(errc::invalid_argument, actors::what_of_thrown());
  }
}

/// Decodes `from` into `values`; they are unspecified after an error. Errors: `code`, also where
/// bytes are left over.
template <class... Ts>
caf::error decode(errc code, std::span<const char> from, Ts&... values) {
  try {
    detail::decoder source{from};
    if ((source.value(values) && ...) && source.finish())
      return {};
    return make_error(code, text_of(source.failure()));
  } catch (...) { // a user's inspect, or no memory
    return make_error(code, actors::what_of_thrown());
  }
}

/// Decodes a result. Errors: errc::malformed_result.
template <class R>
caf::expected<R> decode_result(std::span<const char> from) {
  if constexpr (std::is_void_v<R>) {
    if (auto reason = decode(errc::malformed_result, from))
      return reason;
    return {};
  } else {
    R result{};
    if (auto reason = decode(errc::malformed_result, from, result))
      return reason;
    return result;
  }
}

} // namespace fly::rpc
