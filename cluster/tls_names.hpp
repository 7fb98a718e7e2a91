#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/member.hpp"

namespace fly::cluster {

/// What the DNS names of a certificate (its subjectAltName) say of the node that has it. They are
/// the names that Fly's internal DNS gives to the same things:
///   "shop.internal"           it belongs to the cluster "shop";
///   "syd.shop.internal"       it may be in the region syd, and in no other that is not named;
///   "148e21.vm.shop.internal" it may be the machine 148e21, and no other that is not named.
/// Letters count without case, as in DNS. Other names are for others and say nothing here. A value.
struct tls_names {
  /// As the certificate has them, in its order.
  std::vector<std::string> dns{};

  /// Returns whether a name is that of the cluster itself.
  bool name_cluster(std::string_view app) const;

  /// Says whether the certificate lets its holder be `who` of the cluster `app`: it names the
  /// cluster, and the region and the machine where it is bound to some.
  /// Errors: errc::handshake_failed, naming what is missing and what there is.
  caf::error allow(std::string_view app, const member& who) const;
};

/// Return the names as above, in small letters.
std::string cluster_name_of(std::string_view app);
std::string region_name_of(std::string_view app, std::string_view region);
std::string machine_name_of(std::string_view app, std::string_view machine);

/// Returns whether `text` can stand in such a name: 1 to 63 letters, digits and '-'.
bool is_dns_label(std::string_view text) noexcept;

} // namespace fly::cluster
