#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <caf/expected.hpp>

namespace fly::cluster {

struct member;

/// The files of a node's TLS, all PEM.
struct tls_files {
  /// The node's certificate, then those between it and the authority, if any. --tls-cert.
  std::string certificate{};
  /// Its private key, without a passphrase. --tls-key.
  std::string key{};
  /// The authorities that members' certificates must be signed by. --tls-ca.
  std::string authority{};
};

/// What all encrypted connections of a node share: its certificate and key, and whom it trusts.
/// TLS 1.3 alone, both sides show a certificate, no session is resumed. Cannot be changed; new
/// files make a new one. Shared by any threads.
class tls_context {
public:
  struct parts;

  /// Reads the files and checks them as a member would: the key belongs to the certificate, which
  /// is valid now, signed by the authority, may stand at both ends of a connection, and names the
  /// cluster `app` (tls_names.hpp).
  /// Errors: errc::invalid_argument, naming the option, the file and what is wrong with it.
  static caf::expected<std::shared_ptr<const tls_context>> load(const tls_files& files,
                                                                const std::string& app);

  /// Returns until when the certificate is valid, and all that it was signed by.
  std::chrono::system_clock::time_point valid_until() const noexcept;

  explicit tls_context(std::unique_ptr<parts> all);
  ~tls_context();

  /// Says whether members of the cluster `app` would take the certificate for that of `who`.
  /// Errors: errc::invalid_argument, naming the option and what the certificate is bound to.
  caf::error allow(std::string_view app, const member& who) const;

  const parts& all() const noexcept { return *parts_; }

private:
  std::unique_ptr<parts> parts_;
};

} // namespace fly::cluster
