#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/actors/error.hpp"
#include "fly/rpc/function.hpp"
#include "fly/rpc/inspection.hpp"

/// Values to bytes and back. The bytes are those of CAF 0.17's binary_serializer (numbers
/// big-endian, sizes as varbyte), with two differences: infinities and NaN travel (CAF's loops for
/// ever on them), and std::vector<bool> takes a byte each. The reading side is our own because
/// CAF's allocates what a forged size asks for.
namespace fly::rpc {

namespace detail {

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

/// What encoder and decoder share: depth and the first failure.
class codec_state {
public:
  /// Notes `reason` if it is one; returns whether there is no failure.
  bool fail(caf::error reason);
  bool fail(std::string_view text);
  caf::error failure() const { return failure_; }
  template <class T>
  void annotation(const T&) {}

protected:
  bool enter() { return ++depth_ <= value_depth_max || fail("values are nested too deep"); }
  bool leave() { return --depth_, true; }

private:
  caf::error failure_;
  int depth_ = 0;
};

/// Encodes one value after the other.
class encoder : public field_walker<encoder>, public codec_state {
public:
  static constexpr bool reads_state = true;
  static constexpr bool writes_state = false;

  explicit encoder(bytes& out) : out_(out) {}

  template <class T>
  bool value(T& x);

private:
  template <class T>
  bool elements(T& x);
  template <class T>
  bool composite(T& x);

  byte_writer out_;
};

/// Decodes one value after the other. Whatever the bytes are, it allocates no more than a small
/// multiple of their number (the size of an element in memory for each byte).
class decoder : public field_walker<decoder>, public codec_state {
public:
  static constexpr bool reads_state = false;
  static constexpr bool writes_state = true;

  explicit decoder(std::span<const char> in) : in_(in) {}

  template <class T>
  bool value(T& x);

  /// Returns whether all bytes were used.
  bool finish();

private:
  template <class T>
  bool number(T& x);
  template <class T>
  bool elements(T& x);
  template <class T>
  bool composite(T& x);
  bool count(std::size_t& n);
  bool cut_off() { return fail("the bytes end within a value"); }

  byte_reader in_;
};

template <class T>
using bits_of = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

template <class T>
bool encoder::elements(T& x) {
  if (!out_.size(x.size()))
    return fail("a container has more than 2^32 - 1 elements");
  if constexpr (shape_of<T>() == shape::map) {
    for (auto& [key, mapped] : x)
      if (!value(const_cast<std::remove_cvref_t<decltype(key)>&>(key)) || !value(mapped))
        return false;
  } else {
    auto before = out_.written();
    for (auto&& element : x) {
      using type = typename T::value_type;
      if constexpr (std::is_same_v<T, std::vector<bool>>) {
        bool bit = element;
        value(bit);
      } else if (!value(const_cast<type&>(element))) {
        return false;
      }
    }
    if (out_.written() - before < x.size())
      return fail("elements without bytes cannot travel in a container");
  }
  return true;
}

template <class T>
bool encoder::composite(T& x) {
  constexpr auto shape = shape_of<T>();
  if constexpr (shape == shape::optional) {
    bool there = static_cast<bool>(x);
    return value(there) && (!there || value(*x));
  } else if constexpr (shape == shape::tuple) {
    return std::apply([this](auto&... part) { return (value(part) && ...); }, x);
  } else if constexpr (shape == shape::array) {
    for (auto& element : x)
      if (!value(element))
        return false;
    return true;
  } else if constexpr (shape == shape::object) {
    return fail(inspect(*this, x));
  } else if constexpr (shape == shape::empty) {
    return true;
  } else {
    return elements(x);
  }
}

template <class T>
bool encoder::value(T& x) {
  check_travels<T>();
  constexpr auto shape = shape_of<T>();
  if constexpr (shape == shape::boolean) {
    out_.number(x ? 1 : 0, 1);
  } else if constexpr (shape == shape::integer || shape == shape::enumeration) {
    out_.number(static_cast<std::uint64_t>(x), sizeof(T));
  } else if constexpr (shape == shape::real) {
    bits_of<T> bits;
    std::memcpy(&bits, &x, sizeof bits);
    out_.number(bits, sizeof bits);
  } else if constexpr (shape == shape::text) {
    if (!out_.size(x.size()))
      return fail("a string is longer than 2^32 - 1 bytes");
    out_.raw(x.data(), x.size());
  } else if constexpr (shape == shape::duration) {
    auto ticks = x.count();
    return value(ticks);
  } else if constexpr (shape == shape::instant) {
    auto since = x.time_since_epoch();
    return value(since);
  } else {
    return enter() && composite(x) && leave();
  }
  return true;
}

template <class T>
bool decoder::number(T& x) {
  std::uint64_t bits = 0;
  if (!in_.number(bits, sizeof(T)))
    return cut_off();
  if constexpr (std::is_floating_point_v<T>) {
    auto same = static_cast<bits_of<T>>(bits);
    std::memcpy(&x, &same, sizeof same);
  } else {
    x = static_cast<T>(bits);
  }
  return true;
}

template <class T>
bool decoder::elements(T& x) {
  std::size_t n = 0;
  if (!count(n))
    return false;
  x.clear();
  for (std::size_t i = 0; i < n; ++i) {
    if constexpr (shape_of<T>() == shape::map) {
      entry_of<T> entry{};
      if (!value(entry.first) || !value(entry.second))
        return false;
      x.insert(x.end(), std::move(entry));
    } else {
      typename T::value_type element{};
      if (!value(element))
        return false;
      x.insert(x.end(), std::move(element));
    }
  }
  return true;
}

template <class T>
bool decoder::composite(T& x) {
  constexpr auto shape = shape_of<T>();
  if constexpr (shape == shape::optional) {
    bool there = false;
    if (!value(there))
      return false;
    x = T{};
    if (!there)
      return true;
    std::decay_t<decltype(*x)> inner{};
    if (!value(inner))
      return false;
    x = std::move(inner);
    return true;
  } else if constexpr (shape == shape::tuple) {
    return std::apply([this](auto&... part) { return (value(part) && ...); }, x);
  } else if constexpr (shape == shape::array) {
    for (auto& element : x)
      if (!value(element))
        return false;
    return true;
  } else if constexpr (shape == shape::object) {
    return fail(inspect(*this, x));
  } else if constexpr (shape == shape::empty) {
    return true;
  } else {
    return elements(x);
  }
}

template <class T>
bool decoder::value(T& x) {
  check_travels<T>();
  constexpr auto shape = shape_of<T>();
  if constexpr (shape == shape::boolean) {
    std::uint8_t byte = 0;
    if (!number(byte))
      return false;
    x = byte != 0;
    return byte <= 1 || fail("a bool is neither 0 nor 1");
  } else if constexpr (shape == shape::integer || shape == shape::real) {
    return number(x);
  } else if constexpr (shape == shape::enumeration) {
    std::underlying_type_t<T> plain{};
    if (!number(plain))
      return false;
    x = static_cast<T>(plain);
    return true;
  } else if constexpr (shape == shape::text) {
    std::size_t size = 0;
    std::span<const char> part;
    if (!in_.size(size) || !in_.take(size, part))
      return cut_off();
    x.assign(part.data(), part.size());
    return true;
  } else if constexpr (shape == shape::duration) {
    typename T::rep ticks{};
    if (!value(ticks))
      return false;
    x = T{ticks};
    return true;
  } else if constexpr (shape == shape::instant) {
    typename T::duration since{};
    if (!value(since))
      return false;
    x = T{since};
    return true;
  } else {
    return enter() && composite(x) && leave();
  }
}

} // namespace detail

/// Encodes `values` one behind the other. Errors: errc::invalid_argument (nested too deep, a
/// container too large, an error of the type's own `inspect`).
template <class... Ts>
caf::expected<bytes> encode(const Ts&... values) {
  bytes out;
  detail::encoder to{out};
  if ((to.value(const_cast<Ts&>(values)) && ...))
    return out;
  return to.failure();
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
  } catch (const std::exception& thrown) { // a user's inspect, or no memory
    return make_error(code, thrown.what());
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
