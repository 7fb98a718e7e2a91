#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <caf/error.hpp>

#include "fly/repo/session.hpp"
#include "fly/repo/token.hpp"

namespace fly::repo {

/// How a session's cookie is set (RFC 6265).
struct cookie_options {
  /// 1 to 64 characters of an HTTP token. "__Host-" and "__Secure-" have their own rules, which
  /// are checked.
  std::string name = "fly_session";
  /// Begins with "/", at most 256 characters.
  std::string path = "/";
  /// Empty: the host that answered, and no other one. At most 253 characters.
  std::string domain{};
  /// How long the browser keeps it, 1 s to 400 days: longer than any replica is late. Nothing:
  /// until the browser ends.
  std::optional<std::chrono::seconds> max_age{3600};
  /// Sent over HTTPS only; for plain HTTP (development) it must be off.
  bool secure = true;
  /// Hidden from scripts.
  bool http_only = true;

  enum class site : std::uint8_t {
    lax,    ///< With links from elsewhere, too.
    strict, ///< From the own site only.
    none,   ///< From everywhere; needs `secure`.
  };
  site same_site = site::lax;

  /// Returns errc::invalid_argument naming the first option that cannot be used.
  caf::error validate() const;
};

/// The session that a request came with.
struct cookie_session {
  session user{};
  /// errc::invalid_argument, naming the cookie and what is wrong with it, where there was one that
  /// could not be used: malformed, or not signed by this cluster. The session is a fresh one then,
  /// unless there was another one that could.
  caf::error problem{};
};

/// Carries a session in a cookie: text of the header in, text of the header out, for any HTTP
/// library. PURE. Safe from any thread.
///
///     fly::repo::session_cookie cookie{db.tokens()};
///     auto [user, problem] = cookie.read(request.get_header_value("Cookie"));
///     ... db.with({.session = user}) ...
///     response.set_header("Set-Cookie", cookie.write(user));
class session_cookie {
public:
  /// Longest Cookie header that is looked at.
  static constexpr std::size_t header_bytes_max = 32 * 1024;

  explicit session_cookie(token_signer tokens, cookie_options options = {});

  /// Returns what `cookie_options::validate` says: with it `read` finds nothing and `write` gives
  /// nothing.
  const caf::error& usable() const noexcept { return unusable_; }

  /// Reads the value of a request's Cookie header, which may be empty. Of several cookies of the
  /// name those that can be used count, together.
  cookie_session read(std::string_view header) const;

  /// Returns the value of a Set-Cookie header; empty where the session has seen nothing.
  std::string write(const session& user) const;

  const cookie_options& options() const noexcept { return options_; }

private:
  token_signer tokens_;
  cookie_options options_;
  caf::error unusable_;
};

} // namespace fly::repo
