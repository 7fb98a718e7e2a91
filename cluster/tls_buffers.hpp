#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <openssl/bio.h>

namespace fly::cluster {

/// What OpenSSL reads from and writes to. Its own memory buffers would copy each byte once more,
/// and clear all that they have ever held each time they are emptied.
struct tls_buffers {
  /// What has come and is not read yet; borrowed. OpenSSL is told to come again where it is empty.
  std::span<const std::byte> in;
  /// What OpenSSL has written and nobody has taken yet.
  std::vector<char> out;
};

/// Makes a BIO over `buffers`, which outlives it. Returns null where there is no memory.
BIO* make_bio(tls_buffers& buffers);

} // namespace fly::cluster
