#include "fly/cluster/hello.hpp"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include <openssl/rand.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"

namespace fly::cluster {

namespace {

constexpr std::uint32_t magic = 0x464c5921; // "FLY!"
constexpr std::size_t text_bytes_max = 512;

/// Texts of strangers end in logs and lists: nothing that moves a terminal.
bool is_clean(std::string_view text) {
  auto control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  return text.size() <= text_bytes_max && std::none_of(text.begin(), text.end(), control);
}

} // namespace

nonce random_nonce() {
  nonce result;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(result.data()),
                 static_cast<int>(result.size())) != 1)
    throw std::runtime_error("OpenSSL has no random bytes");
  return result;
}

std::vector<char> encode(const hello& value) {
  wire_writer out;
  out.number(magic)
      .number(value.version_min)
      .number(value.version_max)
      .number(static_cast<std::uint8_t>(value.has_secret))
      .raw(value.nonce)
      .text(value.cluster)
      .text(value.who.id)
      .number(value.who.incarnation)
      .text(value.who.region)
      .text(value.who.address)
      .text(value.who.version)
      .number(static_cast<std::uint8_t>(value.who.observer));
  return out.take();
}

caf::expected<hello> decode_hello(std::span<const std::byte> payload) {
  wire_reader in{payload};
  if (in.number<std::uint32_t>() != magic)
    return make_error(errc::malformed_frame, "not a hello of fly");
  hello result;
  result.version_min = in.number<std::uint8_t>();
  result.version_max = in.number<std::uint8_t>();
  auto has_secret = in.number<std::uint8_t>();
  auto random = in.raw(result.nonce.size());
  result.cluster = in.text();
  result.who.id = in.text();
  result.who.incarnation = in.number<std::uint64_t>();
  result.who.region = in.text();
  result.who.address = in.text();
  result.who.version = in.text();
  auto observer = in.number<std::uint8_t>();
  if (!in.ok())
    return make_error(errc::malformed_frame, "a hello that ends too early");
  std::copy(random.begin(), random.end(), result.nonce.begin());
  result.has_secret = has_secret == 1;
  result.who.observer = observer == 1;
  bool sound = has_secret <= 1 && observer <= 1 && result.version_min >= 1 &&
               result.version_min <= result.version_max && !result.who.id.empty() &&
               !result.who.region.empty();
  for (const auto& text :
       {result.cluster, result.who.id, result.who.region, result.who.address, result.who.version})
    sound = sound && is_clean(text);
  if (!sound)
    return make_error(errc::malformed_frame, "a hello with a field that cannot be");
  return result;
}

proof prove(proof_role role, const std::string& secret, const hello& dialler_hello,
            std::span<const std::byte> dialler, const hello& acceptor_hello,
            std::span<const std::byte> acceptor, std::span<const std::byte> binding) {
  wire_writer text; // every part with its length: no two lists of parts give the same bytes
  text.text(role == proof_role::dialler ? "fly dialler" : "fly acceptor")
      .text(dialler_hello.cluster)
      .text(dialler_hello.who.id)
      .number(dialler_hello.who.incarnation)
      .text(acceptor_hello.who.id)
      .number(acceptor_hello.who.incarnation)
      .number(static_cast<std::uint32_t>(dialler.size()))
      .raw(dialler)
      .number(static_cast<std::uint32_t>(acceptor.size()))
      .raw(acceptor);
  if (!binding.empty())
    text.number(static_cast<std::uint32_t>(binding.size())).raw(binding);
  return prove(secret, text.bytes());
}

} // namespace fly::cluster
