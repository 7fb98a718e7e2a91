#include "fly/rpc/json_codec.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>

#include <nlohmann/json.hpp>

#include "fly/actors/error.hpp"
#include "fly/rpc/byte_stream.hpp"
#include "fly/rpc/json_walk.hpp"

namespace fly::rpc {

namespace {

using nlohmann::json;

class json_decoder : public detail::json_walk {
public:
  explicit json_decoder(std::span<const char> in) : in_(in) {}

  bool value(const type_node& type, json& to) { return enter() && any(type, to) && leave(); }
  bool finish() { return in_.left() == 0 || fail("bytes are left over"); }

private:
  bool any(const type_node& type, json& to);
  bool number(const type_node& type, json& to);
  bool text(json& to);
  bool each(const type_node& type, std::size_t count, json& to);
  bool map(const type_node& type, json& to);
  bool fields(const std::vector<type_node>& types, json& to);
  bool flag(bool& to);
  bool count(std::size_t& n) {
    return (in_.size(n) && n <= in_.left()) || fail("a size exceeds the bytes that are there");
  }
  bool cut_off() { return fail("the bytes end within a value"); }

  detail::byte_reader in_;
};

bool json_decoder::number(const type_node& type, json& to) {
  std::uint64_t bits = 0;
  if (!in_.number(bits, type.size))
    return cut_off();
  if (type.kind == type_kind::real) {
    double real = type.size == 8 ? std::bit_cast<double>(bits)
                                 : std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    to = std::isfinite(real) ? json(real) : json(nullptr);
  } else if (type.is_signed) {
    auto shift = 64 - static_cast<int>(type.size * 8);
    to = static_cast<std::int64_t>(bits << shift) >> shift;
  } else {
    to = bits;
  }
  return true;
}

bool json_decoder::text(json& to) {
  std::size_t size = 0;
  std::span<const char> part;
  if (!in_.size(size) || !in_.take(size, part))
    return cut_off();
  to = std::string{part.begin(), part.end()};
  return true;
}

bool json_decoder::flag(bool& to) {
  std::uint64_t byte = 0;
  if (!in_.number(byte, 1))
    return cut_off();
  to = byte != 0;
  return byte <= 1 || fail("a bool is neither 0 nor 1");
}

bool json_decoder::each(const type_node& type, std::size_t count, json& to) {
  to = json::array();
  for (std::size_t i = 0; i < count; ++i)
    if (!value(type, to.emplace_back()))
      return false;
  return true;
}

bool json_decoder::fields(const std::vector<type_node>& types, json& to) {
  to = json::array();
  for (const auto& type : types)
    if (!value(type, to.emplace_back()))
      return false;
  return true;
}

bool json_decoder::map(const type_node& type, json& to) {
  std::size_t size = 0;
  if (!count(size))
    return false;
  bool by_text = type.inner[0].kind == type_kind::text;
  to = by_text ? json::object() : json::array();
  for (std::size_t i = 0; i < size; ++i) {
    json pair;
    if (!fields(type.inner, pair))
      return false;
    if (by_text)
      to[pair[0].get<std::string>()] = std::move(pair[1]);
    else
      to.push_back(std::move(pair));
  }
  return true;
}

bool json_decoder::any(const type_node& type, json& to) {
  std::size_t size = 0;
  bool there = false;
  switch (type.kind) {
  case type_kind::nothing:
    to = nullptr;
    return true;
  case type_kind::boolean:
    if (!flag(there))
      return false;
    to = there;
    return true;
  case type_kind::integer:
  case type_kind::real:
    return number(type, to);
  case type_kind::text:
    return text(to);
  case type_kind::sequence:
    return count(size) && each(type.inner[0], size, to);
  case type_kind::array:
    return each(type.inner[0], type.size, to);
  case type_kind::map:
    return map(type, to);
  case type_kind::optional:
    to = nullptr;
    return flag(there) && (!there || value(type.inner[0], to));
  case type_kind::tuple:
    return fields(type.inner, to);
  case type_kind::object:
    return inside(type, [&] { return fields(type.inner, to); });
  case type_kind::again:
    return again(type, [&](const type_node& object) { return value(object, to); });
  }
  return fail("an unknown type");
}

} // namespace

caf::expected<std::string> bytes_to_json(const type_node& type, std::span<const char> encoded) {
  json result;
  json_decoder decoder{encoded};
  if (!decoder.value(type, result) || !decoder.finish())
    return make_error(errc::malformed_result,
                      "the result does not fit its type: " + decoder.failure);
  return result.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace fly::rpc
