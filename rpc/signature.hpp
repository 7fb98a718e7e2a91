#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <caf/expected.hpp>

namespace fly::rpc {

/// The types of a function as text, "(str,i32)->shop::order{i64,str,i32}", and their fingerprint.
/// It describes exactly the bytes that travel. One word may follow after a space, " write": a mark
/// of the floor above. A value; the empty one stands for "not known" and is never compared.
struct signature {
  signature() = default;

  /// Takes the text and computes the fingerprint.
  explicit signature(std::string text);

  std::string text;
  /// FNV-1a of the text, 64 bits, never 0 but for an empty text.
  std::uint64_t fingerprint = 0;

  friend bool operator==(const signature&, const signature&) = default;
};

/// Bounds of a signature text; longer or deeper ones are refused.
inline constexpr std::size_t signature_bytes_max = 16 * 1024;
inline constexpr std::size_t signature_depth_max = 32;

/// What a type of a signature is.
enum class type_kind : std::uint8_t {
  nothing,  ///< "void", a result only: no bytes.
  boolean,  ///< "bool": one byte, 0 or 1.
  integer,  ///< "i8" to "i64", "u8" to "u64": big-endian.
  real,     ///< "f32", "f64": IEEE 754, big-endian.
  text,     ///< "str": size, bytes.
  sequence, ///< "[T]": size, elements.
  array,    ///< "[T;N]": N elements.
  map,      ///< "{K:V}": size, pairs.
  optional, ///< "?T": one byte 0 or 1, then the value if 1.
  tuple,    ///< "(A,B)": the elements.
  object,   ///< "name{A,B}": the fields.
  again,    ///< "^N": the object that encloses this place, N objects further out.
};

/// One type of a parsed signature, a tree.
struct type_node {
  type_kind kind = type_kind::nothing;
  /// Bytes of a number, 1 to 8; length of an array; N of `again`.
  std::size_t size = 0;
  /// Whether an integer is signed.
  bool is_signed = false;
  /// Name of an object.
  std::string name;
  std::vector<type_node> inner;
};

/// A parsed signature.
struct function_type {
  std::vector<type_node> arguments;
  type_node result;
  /// The word after the result, "write"; empty for none.
  std::string mark;
};

/// Parses a signature text. Errors: errc::invalid_argument naming the place, also where a bound is
/// exceeded.
caf::expected<function_type> parse_signature(std::string_view text);

/// Parses the text of a single type, "[str]". Errors: as `parse_signature`.
caf::expected<type_node> parse_type(std::string_view text);

} // namespace fly::rpc
