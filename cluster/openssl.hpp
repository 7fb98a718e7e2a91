#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

/// OpenSSL's objects with an owner. Only for sources: no header of ours includes it.
namespace fly::cluster::openssl {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

using bio_ptr = std::unique_ptr<BIO, freed_by<BIO_free_all>>;
using key_ptr = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using certificate_ptr = std::unique_ptr<X509, freed_by<X509_free>>;
using context_ptr = std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>>;
using session_ptr = std::unique_ptr<SSL, freed_by<SSL_free>>;

/// Returns the reason of OpenSSL's latest error on this thread and forgets them all; `otherwise`
/// where there is none.
std::string take_error(const char* otherwise);

/// Reads the first certificate, or the private key, of a PEM text; null where there is none. Never
/// asks for a passphrase: an encrypted key cannot be read.
certificate_ptr read_certificate(std::string_view pem);
key_ptr read_key(std::string_view pem);

} // namespace fly::cluster::openssl
