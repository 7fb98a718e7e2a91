#include "fly/rpc/registry.hpp"

#include <algorithm>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"
#include "fly/rpc/message.hpp"

namespace fly::rpc {

namespace {

constexpr std::uint8_t announcement_version = 1;

} // namespace

caf::error registry::add(std::string name, served_function function) {
  if (auto refused = check_name(name))
    return refused;
  if ((!function.handler && !function.later) || function.signature.text.empty())
    return make_error(errc::invalid_argument, name + " needs a handler and a signature");
  auto found = functions_.find(name);
  if (found == functions_.end() && functions_.size() >= names_max)
    return make_error(errc::invalid_argument,
                      "no more than " + std::to_string(names_max) + " functions can be served");
  if (found != functions_.end()) {
    for (const auto& each : found->second)
      if (each->signature.fingerprint == function.signature.fingerprint)
        return make_error(errc::already_served,
                          name + " is served already, as " + each->signature.text);
    if (found->second.size() >= signatures_max)
      return make_error(errc::invalid_argument, name + " is served in " +
                                                    std::to_string(signatures_max) +
                                                    " signatures, and no more are possible");
  }
  functions_[std::move(name)].push_back(
      std::make_shared<const served_function>(std::move(function)));
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
                      "no function " + std::string{name} + " is served here",
                      {{not_served_detail, "1"}});
  if (fingerprint == 0)
    return found->second.front();
  std::string texts;
  for (const auto& each : found->second) {
    if (each->signature.fingerprint == fingerprint)
      return each;
    texts += (texts.empty() ? "" : ", ") + each->signature.text;
  }
  return make_error(errc::signature_mismatch, std::string{name} + " is served as " + texts,
                    {{"served", texts}, {not_served_detail, "1"}});
}

std::map<std::string, std::string> registry::signatures() const {
  std::map<std::string, std::string> result;
  for (const auto& [name, functions] : functions_)
    result.emplace(name, functions.front()->signature.text);
  return result;
}

rpc::offer registry::offer() const {
  rpc::offer result;
  for (const auto& [name, functions] : functions_)
    for (const auto& each : functions)
      result[name].push_back(each->signature.fingerprint);
  result[std::string{trace_feature}].push_back(1);
  return result;
}

std::string announcement_of(const offer& offered) {
  cluster::wire_writer out;
  out.number(announcement_version);
  for (const auto& [name, fingerprints] : offered)
    for (auto each : fingerprints)
      out.text(name).number(each);
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
      result[std::move(name)].push_back(fingerprint);
  }
  if (!in.ok() || version != announcement_version)
    return make_error(errc::malformed_frame, "a malformed announcement of functions");
  return result;
}

} // namespace fly::rpc
