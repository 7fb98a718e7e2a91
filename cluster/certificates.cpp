#include "fly/cluster/certificates.hpp"

#include <array>
#include <cstddef>
#include <utility>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/openssl.hpp"
#include "fly/cluster/tls_names.hpp"

namespace fly::cluster {

namespace {

using namespace std::chrono_literals;
using openssl::bio_ptr;
using openssl::certificate_ptr;
using openssl::key_ptr;

constexpr std::chrono::seconds clock_skew = 5min;
constexpr std::chrono::seconds lifetime_max = std::chrono::hours{24 * 365 * 20};
/// X.509's bound of a common name.
constexpr std::size_t common_name_bytes_max = 64;

caf::error bad(const std::string& why) {
  return make_error(errc::invalid_argument, why);
}

caf::error failed(const char* what) {
  return bad(std::string{what} + ": " + openssl::take_error("OpenSSL says no more"));
}

caf::error check(const std::string& app, const validity& when) {
  if (!is_dns_label(app))
    return bad("app: '" + app +
               "' must be 1 to 63 letters, digits and '-' to stand in a certificate");
  if (when.lifetime < 1min || when.lifetime > lifetime_max)
    return bad("the lifetime of a certificate must be one minute to 20 years");
  return {};
}

caf::error check_labels(const char* what, const std::vector<std::string>& labels) {
  for (const auto& label : labels)
    if (!is_dns_label(label))
      return bad(std::string{what} + ": '" + label +
                 "' must be 1 to 63 letters, digits and '-' to stand in a certificate");
  return {};
}

template <class Write>
std::string written(Write write) {
  bio_ptr out{BIO_new(BIO_s_mem())};
  if (!out || write(out.get()) != 1)
    return {};
  char* data = nullptr;
  auto size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

caf::expected<certified_key> to_pem(X509* certificate, EVP_PKEY* key) {
  certified_key result;
  result.certificate = written([&](BIO* out) { return PEM_write_bio_X509(out, certificate); });
  result.key = written([&](BIO* out) {
    return PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  if (result.certificate.empty() || result.key.empty())
    return failed("cannot write a certificate");
  return result;
}

bool set_time(ASN1_TIME* to, std::chrono::system_clock::time_point at) {
  return ASN1_TIME_set(to, std::chrono::system_clock::to_time_t(at)) != nullptr;
}

bool set_serial(X509* certificate) {
  std::array<unsigned char, 16> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1)
    return false;
  random[0] &= 0x7f; // positive
  std::unique_ptr<BIGNUM, openssl::freed_by<BN_free>> number{
      BN_bin2bn(random.data(), static_cast<int>(random.size()), nullptr)};
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_subject(X509* certificate, const std::string& name) {
  auto text = name.substr(0, common_name_bytes_max);
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1,
                                    0) == 1;
}

bool add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, openssl::freed_by<X509_EXTENSION_free>> extension{
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str())};
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

/// Fills what every certificate has; `issuer` is null for one that signs itself.
bool fill(X509* certificate, X509* issuer, EVP_PKEY* key, const std::string& name,
          const validity& when) {
  constexpr long version_3 = 2;
  return X509_set_version(certificate, version_3) == 1 && set_serial(certificate) &&
         set_time(X509_getm_notBefore(certificate), when.from - clock_skew) &&
         set_time(X509_getm_notAfter(certificate), when.from + when.lifetime) &&
         set_subject(certificate, name) &&
         X509_set_issuer_name(
             certificate, X509_get_subject_name(issuer == nullptr ? certificate : issuer)) == 1 &&
         X509_set_pubkey(certificate, key) == 1;
}

std::string names_of(const certificate_request& wanted) {
  auto result = "DNS:" + cluster_name_of(wanted.app);
  for (const auto& region : wanted.regions)
    result += ",DNS:" + region_name_of(wanted.app, region);
  for (const auto& machine : wanted.machines)
    result += ",DNS:" + machine_name_of(wanted.app, machine);
  return result;
}

} // namespace

caf::expected<certified_key> make_authority(const std::string& app, const validity& when) {
  if (auto problem = check(app, when))
    return problem;
  key_ptr key{EVP_EC_gen("P-256")};
  certificate_ptr made{X509_new()};
  bool done =
      key && made && fill(made.get(), nullptr, key.get(), "fly authority of " + app, when) &&
      add_extension(made.get(), made.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      add_extension(made.get(), made.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
      add_extension(made.get(), made.get(), NID_subject_key_identifier, "hash") &&
      X509_sign(made.get(), key.get(), EVP_sha256()) != 0;
  if (!done)
    return failed("cannot make an authority");
  return to_pem(made.get(), key.get());
}

caf::expected<certified_key> issue_certificate(const certified_key& authority,
                                               const certificate_request& wanted) {
  if (auto problem = check(wanted.app, wanted.when))
    return problem;
  if (auto problem = check_labels("region", wanted.regions))
    return problem;
  if (auto problem = check_labels("machine", wanted.machines))
    return problem;
  auto issuer = openssl::read_certificate(authority.certificate);
  auto signer = openssl::read_key(authority.key);
  if (!issuer || !signer)
    return failed(issuer ? "the authority's key cannot be read"
                         : "the authority's certificate cannot be read");
  if (X509_check_private_key(issuer.get(), signer.get()) != 1)
    return failed("the authority's key does not belong to its certificate");
  if (X509_check_ca(issuer.get()) == 0)
    return bad("the authority's certificate may not sign others");
  key_ptr key{EVP_EC_gen("P-256")};
  certificate_ptr made{X509_new()};
  auto* of = issuer.get();
  bool done = key && made &&
              fill(made.get(), of, key.get(), cluster_name_of(wanted.app), wanted.when) &&
              add_extension(made.get(), of, NID_basic_constraints, "critical,CA:FALSE") &&
              add_extension(made.get(), of, NID_key_usage, "critical,digitalSignature") &&
              add_extension(made.get(), of, NID_ext_key_usage, "serverAuth,clientAuth") &&
              add_extension(made.get(), of, NID_subject_key_identifier, "hash") &&
              add_extension(made.get(), of, NID_authority_key_identifier, "keyid") &&
              add_extension(made.get(), of, NID_subject_alt_name, names_of(wanted)) &&
              X509_sign(made.get(), signer.get(), EVP_sha256()) != 0;
  if (!done)
    return failed("cannot make a certificate");
  return to_pem(made.get(), key.get());
}

} // namespace fly::cluster
