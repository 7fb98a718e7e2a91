#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <caf/error.hpp>
#include <caf/fwd.hpp>
#include <caf/meta/annotation.hpp>
#include <caf/meta/load_callback.hpp>
#include <caf/meta/save_callback.hpp>
#include <caf/meta/type_name.hpp>

/// What a C++ type is on the wire, decided at compile time. All that depends on how CAF 0.17
/// spells `inspect(f, x)`, `f(annotation, field, field...)`, is in this file.
namespace fly::rpc::detail {

/// Deepest nesting of values that is encoded or decoded: types that contain themselves are bounded.
inline constexpr int value_depth_max = 64;

enum class shape : std::uint8_t {
  boolean,
  integer,
  real,
  enumeration,
  text,
  optional,
  tuple,
  array,
  duration,
  instant,
  object,
  empty,
  map,
  sequence,
  foreign, // cannot travel
};

/// Stands for any inspector where a type is asked whether it has `inspect`; never called.
struct any_inspector {
  using result_type = caf::error;
  static constexpr bool reads_state = true;
  static constexpr bool writes_state = false;

  template <class... Ts>
  caf::error operator()(Ts&&...) {
    return {};
  }
};

template <class T>
concept inspectable = std::is_class_v<T> && requires(any_inspector& f, T& x) {
  { inspect(f, x) } -> std::convertible_to<caf::error>;
};

template <class T>
concept sequence_like = requires(T x) {
  typename T::value_type;
  x.begin() != x.end();
  x.size();
  x.clear();
  x.insert(x.end(), std::declval<typename T::value_type>());
};

template <class T>
concept map_like = sequence_like<T> && requires {
  typename T::key_type;
  typename T::mapped_type;
};

template <class T>
inline constexpr shape special_shape = shape::foreign;
template <class T>
inline constexpr shape special_shape<std::optional<T>> = shape::optional;
template <class T>
inline constexpr shape special_shape<caf::optional<T>> = shape::optional;
template <class A, class B>
inline constexpr shape special_shape<std::pair<A, B>> = shape::tuple;
template <class... Ts>
inline constexpr shape special_shape<std::tuple<Ts...>> = shape::tuple;
template <class T, std::size_t N>
inline constexpr shape special_shape<std::array<T, N>> = shape::array;
template <class Rep, class Period>
inline constexpr shape special_shape<std::chrono::duration<Rep, Period>> = shape::duration;
template <class Duration>
inline constexpr shape special_shape<std::chrono::time_point<std::chrono::system_clock, Duration>> =
    shape::instant;
template <>
inline constexpr shape special_shape<std::string> = shape::text;
template <>
inline constexpr shape special_shape<bool> = shape::boolean;

/// Returns what T is on the wire.
template <class T>
consteval shape shape_of() {
  if constexpr (special_shape<T> != shape::foreign)
    return special_shape<T>;
  else if constexpr (std::is_enum_v<T>)
    return shape::enumeration;
  else if constexpr (std::is_integral_v<T>)
    return shape::integer;
  else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>)
    return shape::real;
  else if constexpr (inspectable<T>)
    return shape::object;
  else if constexpr (map_like<T>)
    return shape::map;
  else if constexpr (sequence_like<T>)
    return shape::sequence;
  else if constexpr (std::is_empty_v<T>)
    return shape::empty;
  else
    return shape::foreign;
}

/// Fails to compile with a readable line for a type that cannot travel.
template <class T>
consteval void check_travels() {
  static_assert(shape_of<T>() != shape::foreign,
                "this type cannot travel: give it CAF's inspect(f, x), or use numbers, enums, "
                "strings, containers, tuples, optionals, durations, system_clock times");
}

/// What the elements of a map are when they are read: the key is not const.
template <class T>
using entry_of = std::pair<typename T::key_type, typename T::mapped_type>;

/// Walks the fields that a user's `inspect` hands to an inspector and skips or runs its
/// annotations. `Derived` has reads_state, writes_state and `bool value(T&)`; `bool fail(error)`.
template <class Derived>
class field_walker {
public:
  using result_type = caf::error;

  template <class... Ts>
  caf::error operator()(Ts&&... fields) {
    if ((field(fields) && ...))
      return {};
    return self().failure();
  }

private:
  Derived& self() { return static_cast<Derived&>(*this); }

  template <class T>
  bool field(T& x) {
    using type = std::remove_cv_t<T>;
    if constexpr (caf::meta::is_save_callback<type>::value) {
      if constexpr (Derived::reads_state)
        return self().fail(x.fun());
      return true;
    } else if constexpr (caf::meta::is_load_callback<type>::value) {
      if constexpr (Derived::writes_state)
        return self().fail(x.fun());
      return true;
    } else if constexpr (caf::meta::is_annotation<type>::value) {
      self().annotation(x);
      return true;
    } else {
      return self().value(const_cast<type&>(x)); // CAF's inspectors do the same
    }
  }
};

} // namespace fly::rpc::detail
