#pragma once

#include <string>
#include <string_view>

#include <caf/expected.hpp>

#include "fly/repo/position.hpp"

namespace fly::repo {

/// Makes and reads positions that travel through hands that are not trusted, such as a browser's
/// cookie: "v1.<position>.<32 hexadecimal digits>", the digits being the first half of an
/// HMAC-SHA256. Only the cluster's secret makes one; what it says can be read by anybody. A value;
/// safe from any thread.
class token_signer {
public:
  /// Signs with what `secret` and the cluster's name give. An empty secret signs, too, and proves
  /// nothing.
  /// Tokens that `also`, another secret, has signed are read, too; empty for none.
  token_signer(std::string_view secret, std::string_view cluster, std::string_view also = {});

  /// Returns the token of `where`: printable, without spaces, at most 110 characters.
  std::string sign(const position& where) const;

  /// Reads a token. Errors: errc::invalid_argument, malformed or signed by somebody else.
  caf::expected<position> parse(std::string_view text) const;

private:
  std::string key_;
  std::string also_; // empty for none
};

} // namespace fly::repo
