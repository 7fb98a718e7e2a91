#include "fly/rpc/json_codec.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "fly/actors/error.hpp"
#include "fly/rpc/byte_stream.hpp"
#include "fly/rpc/json_walk.hpp"

namespace fly::rpc {

namespace {

using nlohmann::json;

class json_encoder : public detail::json_walk {
public:
  explicit json_encoder(bytes& out) : out_(out) {}

  bool value(const type_node& type, const json& from) {
    return enter() && any(type, from) && leave();
  }

private:
  bool any(const type_node& type, const json& from);
  bool integer(const type_node& type, const json& from);
  bool real(const type_node& type, const json& from);
  bool each(const type_node& type, const json& from);
  bool fields(const std::vector<type_node>& types, const json& from);
  bool map(const type_node& type, const json& from);
  bool wrong(const char* wanted, const json& from) {
    return fail(std::string{"expected "} + wanted + ", got " +
                from.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 60));
  }

  detail::byte_writer out_;
};

bool json_encoder::integer(const type_node& type, const json& from) {
  if (!from.is_number_integer())
    return wrong("an integer", from);
  auto bits = static_cast<int>(type.size * 8);
  if (type.is_signed) {
    // An unsigned number above the signed range turns negative here, so it is looked at first.
    if (from.is_number_unsigned() &&
        from.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX >> (64 - bits)))
      return wrong(("a number of i" + std::to_string(bits)).c_str(), from);
    if (from.get<std::int64_t>() < INT64_MIN >> (64 - bits))
      return wrong(("a number of i" + std::to_string(bits)).c_str(), from);
    out_.number(static_cast<std::uint64_t>(from.get<std::int64_t>()), type.size);
    return true;
  }
  if (!from.is_number_unsigned() || from.get<std::uint64_t>() > UINT64_MAX >> (64 - bits))
    return wrong(("a number of u" + std::to_string(bits)).c_str(), from);
  out_.number(from.get<std::uint64_t>(), type.size);
  return true;
}

bool json_encoder::real(const type_node& type, const json& from) {
  if (!from.is_number())
    return wrong("a number", from);
  if (type.size == 8) {
    out_.number(std::bit_cast<std::uint64_t>(from.get<double>()), 8);
    return true;
  }
  if (std::abs(from.get<double>()) > static_cast<double>(std::numeric_limits<float>::max()))
    return wrong("a number of f32", from);
  out_.number(std::bit_cast<std::uint32_t>(from.get<float>()), 4);
  return true;
}

bool json_encoder::each(const type_node& type, const json& from) {
  if (!from.is_array())
    return wrong("an array", from);
  if (type.kind == type_kind::array && from.size() != type.size)
    return wrong(("an array of " + std::to_string(type.size)).c_str(), from);
  if (type.kind == type_kind::sequence && !out_.size(from.size()))
    return fail("an array is too long");
  auto before = out_.written();
  for (const auto& element : from)
    if (!value(type.inner[0], element))
      return false;
  return type.kind == type_kind::array || out_.written() - before >= from.size() ||
         fail("elements without bytes cannot travel in a container");
}

bool json_encoder::fields(const std::vector<type_node>& types, const json& from) {
  if (!from.is_array() || from.size() != types.size())
    return wrong(("an array of " + std::to_string(types.size()) + " values").c_str(), from);
  for (std::size_t i = 0; i < types.size(); ++i)
    if (!value(types[i], from[i]))
      return false;
  return true;
}

bool json_encoder::map(const type_node& type, const json& from) {
  if (type.inner[0].kind == type_kind::text && from.is_object()) {
    out_.size(from.size());
    for (const auto& [key, mapped] : from.items())
      if (!value(type.inner[0], key) || !value(type.inner[1], mapped))
        return false;
    return true;
  }
  if (!from.is_array())
    return wrong("an array of pairs", from);
  out_.size(from.size());
  for (const auto& pair : from)
    if (!fields(type.inner, pair))
      return false;
  return true;
}

bool json_encoder::any(const type_node& type, const json& from) {
  switch (type.kind) {
  case type_kind::nothing:
    return from.is_null() || wrong("null", from);
  case type_kind::boolean:
    out_.number(from.is_boolean() && from.get<bool>() ? 1 : 0, 1);
    return from.is_boolean() || wrong("true or false", from);
  case type_kind::integer:
    return integer(type, from);
  case type_kind::real:
    return real(type, from);
  case type_kind::text: {
    if (!from.is_string())
      return wrong("a string", from);
    const auto& text = from.get_ref<const std::string&>();
    out_.raw(text.data(), text.size() * (out_.size(text.size()) ? 1 : 0));
    return true;
  }
  case type_kind::sequence:
  case type_kind::array:
    return each(type, from);
  case type_kind::map:
    return map(type, from);
  case type_kind::optional:
    out_.number(from.is_null() ? 0 : 1, 1);
    return from.is_null() || value(type.inner[0], from);
  case type_kind::tuple:
    return fields(type.inner, from);
  case type_kind::object:
    return inside(type, [&] { return fields(type.inner, from); });
  case type_kind::again:
    return again(type, [&](const type_node& object) { return value(object, from); });
  }
  return fail("an unknown type");
}

/// Parses JSON whose depth is bounded; nothing where it is not valid.
std::optional<json> parse(std::string_view text) {
  bool too_deep = false;
  auto parsed = json::parse(
      text.begin(), text.end(),
      [&](int depth, json::parse_event_t, json&) {
        too_deep = too_deep || depth > static_cast<int>(json_depth_max);
        return !too_deep;
      },
      false);
  if (too_deep || parsed.is_discarded())
    return std::nullopt;
  return parsed;
}

} // namespace

caf::expected<bytes> json_to_bytes(const std::vector<type_node>& types, std::string_view text) {
  auto parsed = parse(text);
  if (!parsed)
    return make_error(errc::invalid_argument, "the arguments are not JSON, or are nested too deep");
  bytes out;
  json_encoder encoder{out};
  if (encoder.value({.kind = type_kind::tuple, .name = {}, .inner = types}, *parsed))
    return out;
  return make_error(errc::invalid_argument, "arguments: " + encoder.failure);
}

} // namespace fly::rpc
