#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apps/local/fault.hpp"
#include "apps/local/playground_options.hpp"
#include "apps/local/postgres.hpp"
#include "apps/local/region_lines.hpp"

namespace fly::local {

/// The databases of a playground by their regions: a primary, and replicas that follow it over the
/// lines between the regions. Every function blocks, and throws std::runtime_error with the
/// server's words where it fails. Not thread-safe. A resource.
class region_databases {
public:
  /// Starts them all; calls `checkpoint` between, which may throw. `lines` outlive the object.
  region_databases(const playground_options& options, region_lines& lines,
                   const std::function<void()>& checkpoint);

  /// Returns the server of a region; null where it has none.
  postgres_server* find(const std::string& region);

  /// Returns the region of the primary.
  const std::string& primary() const noexcept { return primary_; }

  /// Returns the regions with a database, in the order of the options.
  const std::vector<std::string>& regions() const noexcept { return regions_; }

  /// Returns "primary", "replica", or "old primary" for one that the others have left, and that is
  /// writable until it is rebuilt.
  std::string role(const std::string& region) const;

  /// Makes a replica the primary. All other replicas follow it from now on; the old primary stays
  /// as it is.
  timeline_switch promote(const std::string& region);

  /// Makes the database of a region anew, as a replica of the primary, by pg_basebackup.
  void rebuild(const std::string& region);

  /// Returns the regions whose database is no primary and does not stream from it: old primaries at
  /// once, others after three seconds.
  std::vector<std::string> astray();

  /// Returns the folder of all data.
  std::string folder() const { return servers_->folder().string(); }

private:
  std::size_t index(const std::string& region) const;
  std::uint16_t line(const std::string& from, const std::string& to);

  std::vector<std::string> all_regions_; // also those without a database
  std::vector<std::string> regions_;
  region_lines& lines_;
  std::string primary_;
  std::set<std::string> left_; // old primaries
  std::unique_ptr<postgres> servers_;
  std::map<std::string, postgres_server*> server_of_;
};

} // namespace fly::local
