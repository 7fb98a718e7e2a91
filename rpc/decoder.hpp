#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include "fly/actors/copy_bytes.hpp"
#include "fly/rpc/byte_stream.hpp"
#include "fly/rpc/encoder.hpp"
#include "fly/rpc/inspection.hpp"

namespace fly::rpc::detail {

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
    return std::apply([&](auto&... part) { return (this->value(part) && ...); }, x);
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
    x.clear();
    actors::append_bytes(x, part.data(), part.size());
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

} // namespace fly::rpc::detail
