#include "fly/cluster/tls_context.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <utility>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/tls_parts.hpp"

namespace fly::cluster {

namespace {

using openssl::certificate_ptr;
using openssl::context_ptr;
using store_context_ptr = std::unique_ptr<X509_STORE_CTX, openssl::freed_by<X509_STORE_CTX_free>>;

/// Longest chain of certificates that a peer may show: a stranger costs no more.
constexpr long chain_bytes_max = 32 * 1024;

caf::error bad(const char* option, const std::string& file, const std::string& why) {
  return make_error(errc::invalid_argument, std::string{option} + ": '" + file + "' " + why);
}

caf::error readable(const char* option, const std::string& file) {
  if (file.empty())
    return make_error(errc::invalid_argument,
                      std::string{option} +
                          ": TLS takes all of --tls-cert, --tls-key and --tls-ca");
  errno = 0;
  std::ifstream in{file};
  if (!in || in.peek() == std::ifstream::traits_type::eof())
    return bad(option, file,
               errno != 0 ? std::string{"cannot be read: "} + std::strerror(errno) : "is empty");
  return {};
}

std::string time_text(const ASN1_TIME* at) {
  openssl::bio_ptr out{BIO_new(BIO_s_mem())};
  ASN1_TIME_print(out.get(), at);
  char* data = nullptr;
  auto size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::chrono::system_clock::time_point time_of(const ASN1_TIME* at) {
  std::tm parts{};
  ASN1_TIME_to_tm(at, &parts); // UTC
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

context_ptr make_context() {
  context_ptr result{SSL_CTX_new(TLS_method())};
  if (!result)
    return result;
  auto* context = result.get();
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_max_cert_list(context, chain_bytes_max);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return -1; });
  return result;
}

/// Returns when the first certificate of a chain ends.
std::chrono::system_clock::time_point end_of(STACK_OF(X509) * chain) {
  auto result = std::chrono::system_clock::time_point::max();
  for (int i = 0; i < sk_X509_num(chain); ++i)
    result = std::min(result, time_of(X509_get0_notAfter(sk_X509_value(chain, i))));
  return result;
}

/// Says why members would refuse the certificate of `context` at one end of a connection; fills
/// `until` where they would not.
std::string refused_as(SSL_CTX* context, X509* own, const char* purpose,
                       std::chrono::system_clock::time_point& until) {
  store_context_ptr check{X509_STORE_CTX_new()};
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context, &chain);
  if (!check ||
      X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context), own, chain) != 1 ||
      X509_STORE_CTX_set_default(check.get(), purpose) != 1)
    return openssl::take_error("cannot be checked");
  if (X509_verify_cert(check.get()) == 1) {
    until = end_of(X509_STORE_CTX_get0_chain(check.get()));
    return {};
  }
  ERR_clear_error();
  std::string why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get()));
  return X509_STORE_CTX_get_error_depth(check.get()) > 0 ? why + " (its authority)" : why;
}

caf::error check_own(SSL_CTX* context, const tls_files& files, const std::string& app,
                     std::chrono::system_clock::time_point& until) {
  auto* own = SSL_CTX_get0_certificate(context);
  if (X509_cmp_current_time(X509_get0_notAfter(own)) < 0)
    return bad("tls-cert", files.certificate,
               "has expired: it was valid until " + time_text(X509_get0_notAfter(own)));
  if (X509_cmp_current_time(X509_get0_notBefore(own)) > 0)
    return bad("tls-cert", files.certificate,
               "is not valid yet: it will be from " + time_text(X509_get0_notBefore(own)));
  for (const char* purpose : {"ssl_server", "ssl_client"})
    if (auto why = refused_as(context, own, purpose, until); !why.empty())
      return bad("tls-cert", files.certificate,
                 "would be refused by members that trust '" + files.authority + "': " + why);
  auto names = names_in(own);
  if (names.name_cluster(app))
    return {};
  std::string has;
  for (const auto& name : names.dns)
    has += (has.empty() ? "" : ", ") + name;
  return bad("tls-cert", files.certificate,
             "does not name the cluster: among its DNS names must be " + cluster_name_of(app) +
                 ", and there " + (has.empty() ? "is none" : "are " + has));
}

} // namespace

tls_context::tls_context(std::unique_ptr<parts> all) : parts_(std::move(all)) {}

tls_context::~tls_context() = default;

std::chrono::system_clock::time_point tls_context::valid_until() const noexcept {
  return parts_->valid_until;
}

caf::error tls_context::allow(std::string_view app, const member& who) const {
  auto refused = names_in(SSL_CTX_get0_certificate(parts_->context.get())).allow(app, who);
  if (!refused)
    return {};
  return make_error(errc::invalid_argument,
                    "tls-cert: members would refuse this node: " + text_of(refused));
}

caf::expected<std::shared_ptr<const tls_context>> tls_context::load(const tls_files& files,
                                                                    const std::string& app) {
  if (auto problem = readable("tls-cert", files.certificate))
    return problem;
  if (auto problem = readable("tls-key", files.key))
    return problem;
  if (auto problem = readable("tls-ca", files.authority))
    return problem;
  if (app.empty())
    return make_error(errc::invalid_argument,
                      "app: TLS needs the cluster's name, which certificates must have (--app)");
  ERR_clear_error();
  auto made = make_context();
  if (!made)
    return make_error(errc::invalid_argument, "TLS: " + openssl::take_error("OpenSSL failed"));
  auto* context = made.get();
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
    return bad("tls-cert", files.certificate,
               "holds no PEM certificate: " + openssl::take_error("nothing there"));
  if (SSL_CTX_load_verify_file(context, files.authority.c_str()) != 1)
    return bad("tls-ca", files.authority,
               "holds no PEM certificate: " + openssl::take_error("nothing there"));
  // Loading a foreign key says so too, but hides that from one that cannot be read.
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    auto why = openssl::take_error("nothing there");
    if (why == "key values mismatch" || why == "key type mismatch")
      return bad("tls-key", files.key, "does not belong to '" + files.certificate + "'");
    return bad("tls-key", files.key, "holds no PEM key without a passphrase: " + why);
  }
  auto all = std::make_unique<parts>();
  if (auto problem = check_own(context, files, app, all->valid_until))
    return problem;
  all->context = std::move(made);
  return std::shared_ptr<const tls_context>{std::make_shared<tls_context>(std::move(all))};
}

tls_names names_in(X509* certificate) {
  tls_names result;
  auto* all = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    const auto* each = sk_GENERAL_NAME_value(all, i);
    if (each->type != GEN_DNS)
      continue;
    auto* text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(each->d.dNSName));
    auto size = static_cast<std::size_t>(ASN1_STRING_length(each->d.dNSName));
    std::string name{text, size};
    bool printable = true; // an attacker's name with a zero or a line break in it is none
    for (char c : name)
      printable = printable && c > ' ' && c < '\x7f';
    if (printable)
      result.dns.push_back(std::move(name));
  }
  GENERAL_NAMES_free(all);
  return result;
}

} // namespace fly::cluster
