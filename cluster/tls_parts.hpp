#pragma once

#include <vector>

#include "fly/cluster/openssl.hpp"
#include "fly/cluster/tls_context.hpp"
#include "fly/cluster/tls_names.hpp"

namespace fly::cluster {

/// What is behind a `tls_context`; for the sources of this room alone.
struct tls_context::parts {
  openssl::context_ptr context{};
  std::chrono::system_clock::time_point valid_until{};
};

/// Returns the DNS names of a certificate's subjectAltName.
tls_names names_in(X509* certificate);

} // namespace fly::cluster
