#include "fly/rpc/registry.hpp"

#include <algorithm>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"
#include "fly/rpc/message.hpp"

namespace fly::rpc {

namespace {

constexpr std::uint8_t announcement_version = 1;

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= name_bytes_max &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

} // namespace

caf::error registry::add(std::string name, served_function function) {
  if (!is_name(name))
    return make_error(errc::invalid_argument,
                      "the name of a function has 1 to 200 printable characters without spaces");
  if (!function.handler || function.signature.text.empty())
    return make_error(errc::invalid_argument, name + " needs a handler and a signature");
  if (functions_.size() >= names_max)
    return make_error(errc::invalid_argument,
                      "no more than " + std::to_string(names_max) + " functions can be served");
  auto [place, added] = functions_.try_emplace(std::move(name));
  if (!added)
    return make_error(errc::already_served,
                      place->first + " is served already, as " + place->second->signature.text);
  place->second = std::make_shared<const served_function>(std::move(function));
  return {};
}

bool registry::remove(std::string_view name) {
  auto found = functions_.find(name);
  if (found == functions_.end())
    return false;
  functions_.erase(found);
  return true;
}

caf::expected<std::shared_ptr<const served_function>>
registry::find(std::string_view name, std::uint64_t fingerprint) const {
  auto found = functions_.find(name);
  if (found == functions_.end())
    return make_error(errc::unknown_function,
                      "no function " + std::string{name} + " is served here");
  const auto& served = found->second->signature;
  if (fingerprint != 0 && fingerprint != served.fingerprint)
    return make_error(errc::signature_mismatch, std::string{name} + " is served as " + served.text,
                      {{"served", served.text}});
  return found->second;
}

std::map<std::string, std::string> registry::signatures() const {
  std::map<std::string, std::string> result;
  for (const auto& [name, function] : functions_)
    result.emplace(name, function->signature.text);
  return result;
}

rpc::offer registry::offer() const {
  rpc::offer result;
  for (const auto& [name, function] : functions_)
    result.emplace(name, function->signature.fingerprint);
  return result;
}

std::string announcement_of(const offer& offered) {
  cluster::wire_writer out;
  out.number(announcement_version);
  for (const auto& [name, fingerprint] : offered)
    out.text(name).number(fingerprint);
  auto bytes = out.take();
  return {bytes.begin(), bytes.end()};
}

caf::expected<offer> parse_announcement(std::string_view text) {
  cluster::wire_reader in{cluster::bytes_of(text)};
  offer result;
  auto version = in.number<std::uint8_t>();
  while (in.ok() && !in.rest().empty()) {
    std::string name{in.text()};
    auto fingerprint = in.number<std::uint64_t>();
    if (in.ok())
      result.insert_or_assign(std::move(name), fingerprint);
  }
  if (!in.ok() || version != announcement_version)
    return make_error(errc::malformed_frame, "a malformed announcement of functions");
  return result;
}

} // namespace fly::rpc
