#include "apps/local/certificates.hpp"

#include <fstream>
#include <stdexcept>

#include "fly/actors/error.hpp"
#include "fly/cluster/certificates.hpp"

namespace fly::local {

namespace {

std::string write(const std::filesystem::path& file, const std::string& content) {
  std::ofstream out{file};
  std::filesystem::permissions(file, std::filesystem::perms::owner_read |
                                         std::filesystem::perms::owner_write);
  if (!(out << content) || !out.flush())
    throw std::runtime_error{"cannot write " + file.string()};
  return file.string();
}

cluster::certified_key checked(caf::expected<cluster::certified_key> made) {
  if (!made)
    throw std::runtime_error{fly::to_string(made.error())};
  return std::move(*made);
}

} // namespace

std::vector<variables> make_certificates(const std::filesystem::path& folder,
                                         const std::string& app,
                                         const std::vector<std::string>& regions) {
  std::filesystem::create_directories(folder);
  auto authority = checked(cluster::make_authority(app, {}));
  auto trusted = write(folder / "ca.pem", authority.certificate);
  std::vector<variables> result;
  for (const auto& region : regions) {
    auto made = checked(cluster::issue_certificate(authority, {.app = app, .regions = {region}}));
    result.push_back({{"FLY_TLS_CERT", write(folder / (region + ".pem"), made.certificate)},
                      {"FLY_TLS_KEY", write(folder / (region + ".key"), made.key)},
                      {"FLY_TLS_CA", trusted}});
  }
  return result;
}

} // namespace fly::local
