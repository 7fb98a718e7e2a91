#include "fly/cluster/openssl.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

namespace fly::cluster::openssl {

namespace {

int no_passphrase(char*, int, int, void*) {
  return -1;
}

bio_ptr reader_of(std::string_view text) {
  return bio_ptr{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

} // namespace

std::string take_error(const char* otherwise) {
  auto code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? otherwise : reason;
}

certificate_ptr read_certificate(std::string_view pem) {
  auto in = reader_of(pem);
  return certificate_ptr{PEM_read_bio_X509(in.get(), nullptr, no_passphrase, nullptr)};
}

key_ptr read_key(std::string_view pem) {
  auto in = reader_of(pem);
  return key_ptr{PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr)};
}

} // namespace fly::cluster::openssl
