#include "fly/rpc/parcel.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/detail/dynamic_message_data.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>
#include <caf/type_erased_tuple.hpp>
#include <caf/uniform_type_info_map.hpp>

#include "fly/actors/error.hpp"
#include "fly/actors/what_of.hpp"
#include "fly/cluster/wire.hpp"
#include "fly/rpc/message.hpp"
#include "fly/rpc/value_sink.hpp"
#include "fly/rpc/value_source.hpp"

namespace fly::rpc {

namespace {

/// CAF's own types that may travel.
constexpr auto plain_types = std::to_array<std::string_view>(
    {"@atom", "@charbuf", "@duration", "@i16",    "@i32",      "@i64",       "@i8",    "@ldouble",
     "@str",  "@strmap",  "@strset",   "@strvec", "@timespan", "@timestamp", "@u16",   "@u16str",
     "@u32",  "@u32str",  "@u64",      "@u8",     "@unit",     "bool",       "double", "float"});

bool may_travel(std::string_view name) {
  bool is_plain = std::find(plain_types.begin(), plain_types.end(), name) != plain_types.end();
  return is_plain || (!name.empty() && name.front() != '@' && name.size() <= name_bytes_max);
}

caf::error malformed(const std::string& what) {
  return make_error(errc::malformed_arguments, what);
}

std::string in_quotes(std::string_view name) {
  return "the type \"" + std::string{name.substr(0, name_bytes_max)} + "\"";
}

/// Reads one value; `inspect` functions are the user's and may throw.
caf::error load(caf::type_erased_value& into, value_source& from) {
  try {
    return into.load(from);
  } catch (...) {
    return malformed(actors::what_of_thrown());
  }
}

caf::error save(const caf::type_erased_tuple& from, std::size_t at, value_sink& into) {
  try {
    return from.save(at, into);
  } catch (...) {
    return malformed(actors::what_of_thrown());
  }
}

} // namespace

caf::expected<bytes> pack(const caf::actor_system& system, const caf::type_erased_tuple& content) {
  const auto& types = system.types();
  if (content.size() > parcel_values_max)
    return malformed("a message of more than " + std::to_string(parcel_values_max) +
                     " values does not travel");
  cluster::wire_writer out;
  out.number(static_cast<std::uint8_t>(content.size()));
  for (std::size_t i = 0; i < content.size(); ++i) {
    const auto& name = types.portable_name(content.type(i));
    if (name == types.default_type_name())
      return malformed("a value of a message has a type that is not registered in this program "
                       "(add_message_type)");
    if (!may_travel(name))
      return malformed(in_quotes(name) + " does not travel");
    out.text(name);
  }
  value_sink values;
  for (std::size_t i = 0; i < content.size(); ++i)
    if (auto reason = save(content, i, values))
      return malformed(in_quotes(types.portable_name(content.type(i))) +
                       " cannot be written: " + text_of(reason));
  out.raw(cluster::bytes_of(values.take()));
  return out.take();
}

caf::expected<caf::message> unpack(const caf::actor_system& system,
                                   std::span<const std::byte> packed) {
  cluster::wire_reader in{packed};
  std::vector<std::string> names(in.number<std::uint8_t>());
  if (names.size() > parcel_values_max)
    return malformed("a message has too many values");
  for (auto& each : names)
    each = in.text();
  if (!in.ok())
    return malformed("a message is cut off");
  value_source values{in.rest()};
  caf::detail::dynamic_message_data::elements all;
  for (const auto& name : names) {
    if (!may_travel(name))
      return malformed(in_quotes(name) + " does not travel");
    auto value = system.types().make_value(name);
    if (!value)
      return malformed(in_quotes(name) + " is not registered in the program of the receiver");
    if (auto reason = load(*value, values))
      return malformed(in_quotes(name) + " cannot be read: " + text_of(reason));
    all.push_back(std::move(value));
  }
  if (!values.is_complete())
    return malformed("a message has more bytes than values");
  if (all.empty())
    return caf::message{};
  return caf::message{caf::detail::message_data::cow_ptr{
      caf::make_counted<caf::detail::dynamic_message_data>(std::move(all))}};
}

} // namespace fly::rpc
