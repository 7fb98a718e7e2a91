#include "fly/cluster/tls_names.hpp"

#include <algorithm>

#include "fly/actors/error.hpp"

namespace fly::cluster {

namespace {

char small(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string small(std::string_view text) {
  std::string result{text};
  std::transform(result.begin(), result.end(), result.begin(), [](char c) { return small(c); });
  return result;
}

std::string listed(const std::vector<std::string>& names) {
  std::string result;
  for (const auto& name : names)
    result += (result.empty() ? "" : ", ") + name;
  return result.empty() ? "no DNS name" : result;
}

/// Returns those of `names` that are one label and then `suffix`.
std::vector<std::string> below(const std::vector<std::string>& names, const std::string& suffix) {
  std::vector<std::string> result;
  for (const auto& each : names) {
    auto name = small(each);
    if (name.size() > suffix.size() && name.ends_with(suffix) &&
        is_dns_label(std::string_view{name}.substr(0, name.size() - suffix.size())))
      result.push_back(std::move(name));
  }
  return result;
}

/// A certificate that names none binds nobody.
bool binds_others(const std::vector<std::string>& names, const std::string& wanted) {
  return !names.empty() && std::find(names.begin(), names.end(), wanted) == names.end();
}

caf::error refused(const std::string& what, const std::vector<std::string>& names) {
  return make_error(errc::handshake_failed,
                    "the certificate of the peer is not for " + what + ": it has " + listed(names));
}

} // namespace

bool is_dns_label(std::string_view text) noexcept {
  constexpr std::size_t bytes_max = 63;
  return !text.empty() && text.size() <= bytes_max &&
         std::all_of(text.begin(), text.end(), [](char c) {
           c = small(c);
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

std::string cluster_name_of(std::string_view app) {
  return small(app) + ".internal";
}

std::string region_name_of(std::string_view app, std::string_view region) {
  return small(region) + "." + cluster_name_of(app);
}

std::string machine_name_of(std::string_view app, std::string_view machine) {
  return small(machine) + ".vm." + cluster_name_of(app);
}

bool tls_names::name_cluster(std::string_view app) const {
  auto wanted = cluster_name_of(app);
  return std::any_of(dns.begin(), dns.end(),
                     [&](const auto& name) { return small(name) == wanted; });
}

caf::error tls_names::allow(std::string_view app, const member& who) const {
  if (!name_cluster(app))
    return refused("the cluster " + cluster_name_of(app), dns);
  if (binds_others(below(dns, "." + cluster_name_of(app)), region_name_of(app, who.region)))
    return refused("the region '" + who.region + "'", dns);
  if (binds_others(below(dns, ".vm." + cluster_name_of(app)), machine_name_of(app, who.id)))
    return refused("the machine '" + who.id + "'", dns);
  return {};
}

} // namespace fly::cluster
