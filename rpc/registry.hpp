#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/rpc/call.hpp"
#include "fly/rpc/signature.hpp"

namespace fly::rpc {

/// A detail of an error: the member that was asked serves no such function, or not in this
/// signature. Never of an error that a function has returned.
inline constexpr const char* not_served_detail = "not_served";

class function_gate;

/// A function as it is served.
struct served_function {
  rpc::signature signature;
  serve_options options;
  raw_handler handler; ///< Null where `later` is not.
  /// Bounds its calls; null where only the endpoint does.
  std::shared_ptr<function_gate> gate{};
  /// What begins it in the place of `handler`: it takes no worker, and has no `options`.
  raw_starter later{};
};

/// What a member serves: name to fingerprints, in the order in which they were served.
using offer = std::map<std::string, std::vector<std::uint64_t>, std::less<>>;

/// Names to functions. One name may be served in several signatures, for as long as two versions of
/// a program run side by side. A pure value; not safe to share between threads.
class registry {
public:
  /// Most names at one time.
  static constexpr std::size_t names_max = 4096;

  /// Most signatures of one name.
  static constexpr std::size_t signatures_max = 8;

  /// Adds a function. Errors: errc::already_served with this signature; errc::invalid_argument (a
  /// name that is empty, longer than 200 bytes or has other than printable ASCII characters, no
  /// handler, an empty signature, more than `names_max` names or `signatures_max` signatures).
  caf::error add(std::string name, served_function function);

  /// Removes a name with all its signatures; returns whether it was there.
  bool remove(std::string_view name);

  /// Returns the function `name`; `fingerprint` 0 takes the signature that was served first.
  /// Errors: errc::unknown_function; errc::signature_mismatch with the signatures that are served
  /// in the text and as detail "served".
  caf::expected<std::shared_ptr<const served_function>> find(std::string_view name,
                                                             std::uint64_t fingerprint) const;

  /// Returns names and the texts of their signatures; of several, of the one served first.
  std::map<std::string, std::string> signatures() const;

  /// Returns what is announced to the other members: beside the functions `trace_feature`.
  rpc::offer offer() const;

private:
  using served = std::vector<std::shared_ptr<const served_function>>;

  std::map<std::string, served, std::less<>> functions_; // none is empty
};

/// Writes an offer for `node::announce_services`; never empty: an empty announcement means that
/// there is no endpoint.
std::string announcement_of(const offer& offered);

/// Reads what `announcement_of` wrote. Errors: errc::malformed_frame.
caf::expected<offer> parse_announcement(std::string_view text);

} // namespace fly::rpc
