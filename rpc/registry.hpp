#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/rpc/call.hpp"
#include "fly/rpc/signature.hpp"

namespace fly::rpc {

/// A function as it is served.
struct served_function {
  rpc::signature signature;
  serve_options options;
  raw_handler handler;
};

/// What a member serves: name to fingerprint.
using offer = std::map<std::string, std::uint64_t, std::less<>>;

/// Names to functions. A pure value; not safe to share between threads.
class registry {
public:
  /// Most names at one time.
  static constexpr std::size_t names_max = 4096;

  /// Adds a function. Errors: errc::already_served; errc::invalid_argument (a name that is empty,
  /// longer than 200 bytes or has other than printable ASCII characters, no handler, an empty
  /// signature, more than `names_max` names).
  caf::error add(std::string name, served_function function);

  /// Removes a function; returns whether it was there.
  bool remove(std::string_view name);

  /// Returns the function `name`; `fingerprint` 0 takes any signature. Errors:
  /// errc::unknown_function; errc::signature_mismatch with the signature that is served in the text
  /// and as detail "served".
  caf::expected<std::shared_ptr<const served_function>> find(std::string_view name,
                                                             std::uint64_t fingerprint) const;

  /// Returns names and signature texts.
  std::map<std::string, std::string> signatures() const;

  /// Returns what is announced to the other members.
  rpc::offer offer() const;

private:
  std::map<std::string, std::shared_ptr<const served_function>, std::less<>> functions_;
};

/// Writes an offer for `node::announce_services`; never empty: an empty announcement means that
/// there is no endpoint.
std::string announcement_of(const offer& offered);

/// Reads what `announcement_of` wrote. Errors: errc::malformed_frame.
caf::expected<offer> parse_announcement(std::string_view text);

} // namespace fly::rpc
