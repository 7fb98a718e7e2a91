#include "fly/cluster/proof.hpp"

#include <cassert>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace fly::cluster {

proof prove(std::string_view key, std::span<const std::byte> bytes) {
  proof result;
  unsigned int length = 0;
  const char* secret = key.empty() ? "" : key.data(); // a null key would mean the one before
  [[maybe_unused]] auto done =
      HMAC(EVP_sha256(), secret, static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
           reinterpret_cast<unsigned char*>(result.data()), &length);
  assert(done != nullptr);
  assert(length == result.size());
  return result;
}

bool same_proof(const proof& mine, std::span<const std::byte> theirs) noexcept {
  return theirs.size() == mine.size() &&
         CRYPTO_memcmp(mine.data(), theirs.data(), mine.size()) == 0;
}

} // namespace fly::cluster
