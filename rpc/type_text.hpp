#pragma once

#include <ratio>
#include <string>
#include <string_view>
#include <vector>

#include "fly/rpc/inspection.hpp"
#include "fly/rpc/signature.hpp"

namespace fly::rpc {

namespace detail {

template <class T>
inline constexpr char type_key = 0; // its address stands for T

template <class Period>
std::string duration_name() {
  if constexpr (std::is_same_v<Period, std::nano>)
    return "ns";
  else if constexpr (std::is_same_v<Period, std::micro>)
    return "us";
  else if constexpr (std::is_same_v<Period, std::milli>)
    return "ms";
  else if constexpr (std::is_same_v<Period, std::ratio<1>>)
    return "s";
  else
    return "ticks_" + std::to_string(Period::num) + "_" + std::to_string(Period::den);
}

/// Writes the text of a type by running `inspect` on a default-constructed value of each object.
class type_writer : public field_walker<type_writer> {
public:
  static constexpr bool reads_state = false; // runs no callbacks
  static constexpr bool writes_state = false;

  template <class T>
  void type();

  template <class T>
  bool value(T&) {
    comma();
    type<T>();
    return true;
  }

  template <class T>
  void annotation(const T& note) {
    if constexpr (std::is_same_v<std::remove_cv_t<T>, caf::meta::type_name_t>)
      enclosing_.back().name = note.value;
  }

  caf::error failure() { return {}; }
  bool fail(const caf::error&) { return true; }

  /// Writes a comma but before the first of a list.
  void comma();
  void put(std::string_view text) { out_ += text; }
  std::string take() { return std::move(out_); }

private:
  template <class T>
  void object();
  template <class... Ts>
  void tuple(std::tuple<Ts...>*);
  template <class A, class B>
  void tuple(std::pair<A, B>*);
  bool repeats(const void* key);
  void name_object(std::size_t at);

  struct level {
    const void* key; // of the object's type
    const char* name = "";
  };

  std::string out_;
  std::vector<level> enclosing_; // the objects around this place
};

template <class T>
void type_writer::object() {
  if (repeats(&type_key<T>))
    return;
  enclosing_.push_back({&type_key<T>});
  auto at = out_.size();
  out_ += '{';
  T sample{};
  inspect(*this, sample);
  out_ += '}';
  name_object(at);
  enclosing_.pop_back();
}

template <class... Ts>
void type_writer::tuple(std::tuple<Ts...>*) {
  out_ += '(';
  ((comma(), type<Ts>()), ...);
  out_ += ')';
}

template <class A, class B>
void type_writer::tuple(std::pair<A, B>*) {
  tuple(static_cast<std::tuple<A, B>*>(nullptr));
}

template <class T>
void type_writer::type() {
  check_travels<T>();
  constexpr auto shape = shape_of<T>();
  if constexpr (shape == shape::boolean) {
    out_ += "bool";
  } else if constexpr (shape == shape::integer) {
    // Plain char is signed here or there; its bits are the same.
    out_ += std::is_signed_v<T> || std::is_same_v<T, char> ? 'i' : 'u';
    out_ += std::to_string(sizeof(T) * 8);
  } else if constexpr (shape == shape::real) {
    out_ += sizeof(T) == 4 ? "f32" : "f64";
  } else if constexpr (shape == shape::enumeration) {
    type<std::underlying_type_t<T>>();
  } else if constexpr (shape == shape::text) {
    out_ += "str";
  } else if constexpr (shape == shape::optional) {
    out_ += '?';
    type<std::decay_t<decltype(*std::declval<T&>())>>();
  } else if constexpr (shape == shape::tuple) {
    tuple(static_cast<T*>(nullptr));
  } else if constexpr (shape == shape::array) {
    out_ += '[';
    type<typename T::value_type>();
    out_ += ';' + std::to_string(std::tuple_size_v<T>) + ']';
  } else if constexpr (shape == shape::duration) {
    out_ += duration_name<typename T::period>() + '{';
    type<typename T::rep>();
    out_ += '}';
  } else if constexpr (shape == shape::instant) {
    out_ += "time{";
    type<typename T::duration>();
    out_ += '}';
  } else if constexpr (shape == shape::object) {
    object<T>();
  } else if constexpr (shape == shape::empty) {
    out_ += "()";
  } else if constexpr (shape == shape::map) {
    out_ += '{';
    type<typename T::key_type>();
    out_ += ':';
    type<typename T::mapped_type>();
    out_ += '}';
  } else if constexpr (shape == shape::sequence) {
    out_ += '[';
    type<typename T::value_type>();
    out_ += ']';
  }
}

template <class Signature>
struct signature_builder;

template <class R, class... Args>
struct signature_builder<R(Args...)> {
  static signature build() {
    type_writer writer;
    writer.put("(");
    ((writer.comma(), writer.type<Args>()), ...);
    writer.put(")->");
    if constexpr (std::is_void_v<R>)
      writer.put("void");
    else
      writer.type<R>();
    return signature{writer.take()};
  }
};

} // namespace detail

/// Returns the text of type T, "[str]" (the grammar is in signature.hpp).
template <class T>
std::string type_signature() {
  detail::type_writer writer;
  writer.type<T>();
  return writer.take();
}

/// Returns the signature of a function type: `signature_of<std::string(std::string)>()`.
template <class Signature>
const signature& signature_of() {
  static const signature built = detail::signature_builder<Signature>::build();
  return built;
}

} // namespace fly::rpc
