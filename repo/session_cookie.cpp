#include "fly/repo/session_cookie.hpp"

#include <algorithm>
#include <utility>

#include "fly/actors/error.hpp"

namespace fly::repo {

namespace {

constexpr std::size_t name_bytes_max = 64;
constexpr std::size_t path_bytes_max = 256;
constexpr std::size_t domain_bytes_max = 253;
constexpr std::chrono::hours max_age_max{24 * 400};

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_token(char c) {
  return is_alphanumeric(c) ||
         std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}

bool is_path(char c) {
  return c > ' ' && c < '\x7f' && c != ';';
}

bool is_domain(char c) {
  return is_alphanumeric(c) || c == '.' || c == '-';
}

caf::error wrong(const char* option, const std::string& value, const char* expected) {
  return make_error(errc::invalid_argument, std::string{"cookie option "} + option + " is \"" +
                                                value + "\", not " + expected);
}

std::string_view trim(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string_view unquoted(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
    return value.substr(1, value.size() - 2);
  return value;
}

std::string_view to_string(cookie_options::site site) {
  switch (site) {
  case cookie_options::site::strict:
    return "Strict";
  case cookie_options::site::none:
    return "None";
  case cookie_options::site::lax:
    break;
  }
  return "Lax";
}

} // namespace

caf::error cookie_options::validate() const {
  if (name.empty() || name.size() > name_bytes_max ||
      !std::all_of(name.begin(), name.end(), is_token))
    return wrong("name", name, "1 to 64 characters of a token (RFC 6265)");
  if (path.empty() || path.front() != '/' || path.size() > path_bytes_max ||
      !std::all_of(path.begin(), path.end(), is_path))
    return wrong("path", path, "a path from / on, of at most 256 characters");
  if (domain.size() > domain_bytes_max || !std::all_of(domain.begin(), domain.end(), is_domain))
    return wrong("domain", domain, "a host name");
  if (max_age && (max_age->count() < 1 || *max_age > max_age_max))
    return wrong("max_age", std::to_string(max_age->count()) + " s", "1 s to 400 days");
  if (same_site > site::none)
    return wrong("same_site", std::to_string(static_cast<int>(same_site)), "lax, strict or none");
  if (same_site == site::none && !secure)
    return wrong("same_site", "none", "allowed without secure");
  bool host = name.starts_with("__Host-");
  if ((host || name.starts_with("__Secure-")) && !secure)
    return wrong("name", name, "allowed without secure");
  if (host && (path != "/" || !domain.empty()))
    return wrong("name", name, "allowed with a domain, or a path other than /");
  return {};
}

session_cookie::session_cookie(token_signer tokens, cookie_options options)
    : tokens_(std::move(tokens)), options_(std::move(options)), unusable_(options_.validate()) {}

cookie_session session_cookie::read(std::string_view header) const {
  cookie_session result;
  auto refuse = [&](const std::string& why) {
    result.problem = make_error(errc::invalid_argument, "cookie " + options_.name + ": " + why);
  };
  if (unusable_)
    return {{}, unusable_};
  if (header.size() > header_bytes_max) {
    refuse("a Cookie header of more than 32 KiB is not looked at");
    return result;
  }
  while (!header.empty()) {
    auto pair = header.substr(0, header.find(';'));
    header.remove_prefix(std::min(header.size(), pair.size() + 1));
    auto equals = pair.find('=');
    if (equals == std::string_view::npos || trim(pair.substr(0, equals)) != options_.name)
      continue;
    auto where = tokens_.parse(unquoted(trim(pair.substr(equals + 1))));
    if (where)
      result.user.read(*where, {});
    else
      refuse(text_of(where.error()));
  }
  return result;
}

std::string session_cookie::write(const session& user) const {
  auto seen = user.position();
  if (unusable_ || !seen)
    return {};
  auto result = options_.name + '=' + tokens_.sign(*seen) + "; Path=" + options_.path;
  if (!options_.domain.empty())
    result += "; Domain=" + options_.domain;
  if (options_.max_age)
    result += "; Max-Age=" + std::to_string(options_.max_age->count());
  if (options_.secure)
    result += "; Secure";
  if (options_.http_only)
    result += "; HttpOnly";
  return result + "; SameSite=" + std::string{to_string(options_.same_site)};
}

} // namespace fly::repo
