#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <caf/expected.hpp>

namespace fly::cluster {

/// A certificate and its private key, both as PEM text. The key is a secret.
struct certified_key {
  std::string certificate{};
  std::string key{};
};

/// From when and how long a certificate is valid.
struct validity {
  /// The beginning is put five minutes earlier: clocks differ.
  std::chrono::system_clock::time_point from = std::chrono::system_clock::now();
  /// One minute to 20 years.
  std::chrono::seconds lifetime = std::chrono::hours{24 * 365};
};

/// What a node's certificate is to say of it; `tls_names` tells how the names read.
struct certificate_request {
  /// The cluster that it is for, `options::app`: letters, digits and '-', not empty.
  std::string app{};
  /// Regions that the node may claim to be in; empty: any.
  std::vector<std::string> regions{};
  /// Machine ids that the node may claim to have; empty: any.
  std::vector<std::string> machines{};
  validity when{};
};

/// Makes an authority of a cluster's own: a self-signed certificate, and the key that signs those
/// of its nodes; an elliptic curve, P-256. Errors: errc::invalid_argument.
caf::expected<certified_key> make_authority(const std::string& app, const validity& when);

/// Makes a node's key and certificate, signed by `authority`, for both ends of a link.
/// Errors: errc::invalid_argument, naming what of the request or of the authority is wrong.
caf::expected<certified_key> issue_certificate(const certified_key& authority,
                                               const certificate_request& wanted);

} // namespace fly::cluster
