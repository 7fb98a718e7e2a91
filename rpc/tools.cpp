#include "fly/rpc/tools.hpp"

#include <algorithm>
#include <chrono>

#include "fly/actors/error.hpp"
#include "fly/rpc/codec.hpp"
#include "fly/rpc/json_codec.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::rpc {

caf::expected<bytes> encode_arguments(const function_type& types, std::string_view json,
                                      const std::string& key) {
  const auto& all = types.arguments;
  if (types.mark != keyed_mark || all.empty())
    return json_to_bytes(all, json);
  auto result = encode(key);
  auto rest = json_to_bytes({all.begin() + 1, all.end()}, json);
  if (!rest)
    return rest;
  result->insert(result->end(), rest->begin(), rest->end());
  return result;
}

caf::expected<std::string> call_json(const bound_endpoint& rpc, const target& whom,
                                     std::string_view name, std::string_view arguments,
                                     const std::string& key) {
  auto deadline = rpc.deadline();
  auto served = detail::ask(rpc, whom, describe);
  if (!served)
    return served.error();
  auto found = served->find(std::string{name});
  if (found == served->end())
    return make_error(errc::unknown_function,
                      "no function " + std::string{name} + " is served there");
  auto types = parse_signature(found->second);
  if (!types)
    return types.error();
  if (!key.empty() && types->mark != keyed_mark)
    return make_error(errc::invalid_argument,
                      std::string{name} + " is no write: a key does nothing for it");
  auto encoded = encode_arguments(*types, arguments, key);
  if (!encoded)
    return encoded.error();
  auto left =
      std::max(std::chrono::milliseconds{1}, std::chrono::duration_cast<std::chrono::milliseconds>(
                                                 deadline - std::chrono::steady_clock::now()));
  // Another member may answer this time: the signature tells it what the bytes mean.
  auto result = ask_raw(rpc.rpc().with({.timeout = left}), whom, name, signature{found->second},
                        std::move(encoded));
  if (!result)
    return result.error();
  return bytes_to_json(types->result, *result);
}

} // namespace fly::rpc
