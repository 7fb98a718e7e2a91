#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <caf/error.hpp>

#include "fly/rpc/byte_stream.hpp"
#include "fly/rpc/inspection.hpp"

namespace fly::rpc::detail {

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

template <class T>
using bits_of = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

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

} // namespace fly::rpc::detail
