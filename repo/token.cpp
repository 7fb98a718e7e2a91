#include "fly/repo/token.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

#include "fly/actors/error.hpp"
#include "fly/cluster/proof.hpp"
#include "fly/repo/hex.hpp"

namespace fly::repo {

namespace {

constexpr std::string_view version = "v1.";
constexpr std::size_t proof_bytes = 16;
constexpr std::size_t proof_digits = 2 * proof_bytes;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

caf::error malformed(const char* why) {
  return make_error(errc::invalid_argument, std::string{"not a token of this cluster: "} + why);
}

std::string derive(std::string_view secret, std::string_view cluster) {
  auto derived = cluster::prove(secret, bytes_of("fly position token\n" + std::string{cluster}));
  return {reinterpret_cast<const char*>(derived.data()), derived.size()};
}

std::string proof_of(const std::string& key, std::string_view signed_part) {
  auto all = cluster::prove(key, bytes_of(signed_part));
  return to_hex(std::span{all}.first(proof_bytes));
}

/// Whether `end` is "." and the proof of `signed_part`. In constant time: each digit is compared.
bool is_signed(const std::string& key, std::string_view signed_part, std::string_view end) {
  auto expected = "." + proof_of(key, signed_part);
  unsigned different = expected.size() == end.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(expected.size(), end.size()); ++i)
    different |= static_cast<unsigned>(expected[i] ^ end[i]);
  return different == 0;
}

} // namespace

token_signer::token_signer(std::string_view secret, std::string_view cluster, std::string_view also)
    : key_(derive(secret, cluster)), also_(also.empty() ? "" : derive(also, cluster)) {}

std::string token_signer::sign(const position& where) const {
  auto text = std::string{version} + to_string(where);
  return text + '.' + proof_of(key_, text);
}

caf::expected<position> token_signer::parse(std::string_view text) const {
  if (text.size() < version.size() + proof_digits + 1 || text.substr(0, version.size()) != version)
    return malformed("it does not look like one");
  auto signed_part = text.substr(0, text.size() - proof_digits - 1);
  auto end = text.substr(signed_part.size());
  if (!is_signed(key_, signed_part, end) && (also_.empty() || !is_signed(also_, signed_part, end)))
    return malformed("its signature is wrong");
  return parse_position(signed_part.substr(version.size()));
}

} // namespace fly::repo
