#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace fly::local {

/// What a playground is made of: regions on one machine, each with a process of the user's program.
/// A value.
struct playground_options {
  /// Name of the application and the cluster; "<name>.internal" in DNS. Lower-case letters, digits
  /// and '-', at most 30.
  std::string name = "local";
  /// The regions, each once, at most 16; as `name`.
  std::vector<std::string> regions{"syd", "lax", "ams"};
  /// The region of the primary database. Empty: the first one.
  std::string primary{};
  /// The regions with a streaming replica. Nothing: all but the primary's. A region without one
  /// gets no DATABASE_URL.
  std::optional<std::vector<std::string>> replicas{};
  /// Time that everything between two regions is under way, each way, 0 to 5 s.
  std::chrono::milliseconds delay{0};
  /// The port of the cluster, on an address of each region.
  std::uint16_t port = 4370;
  /// Encrypts the links of the nodes, with certificates of an authority of the playground's own.
  bool tls = false;
  /// Folder of logs and state; must not be there yet, or be empty. Not empty itself.
  std::filesystem::path folder{};
  /// The program and its arguments, in which "{address}" and "{region}" are replaced.
  std::vector<std::string> command{};

  /// Returns the region of the primary.
  const std::string& primary_region() const { return primary.empty() ? regions.front() : primary; }

  /// Returns the regions with a replica.
  std::vector<std::string> replica_regions() const;

  /// Returns what is wrong, beginning with the flag's name, "--regions: ..."; "" where nothing is.
  std::string problem() const;
};

/// Returns the folder of the playground `name` of this user where nobody names another one.
std::filesystem::path default_folder(const std::string& name);

} // namespace fly::local
