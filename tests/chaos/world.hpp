#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "apps/local/dns_server.hpp"
#include "apps/local/postgres.hpp"
#include "apps/local/process.hpp"
#include "fly/testing/recorder.hpp"
#include "tests/chaos/network.hpp"

namespace fly::chaos {

using namespace std::chrono_literals;
using milliseconds = std::chrono::milliseconds;

/// Thrown by `nap` where somebody wants the run to end.
struct interrupted : std::runtime_error {
  interrupted() : std::runtime_error{"interrupted"} {}
};

/// Sleeps. Throws `interrupted` at SIGINT or SIGTERM, which main() has blocked.
void nap(milliseconds how_long);

/// One node, which may be started again and again.
struct machine {
  std::string id;
  std::size_t region = 0;
  int host = 0;
  int life = 0;
  int version = 1;
  std::unique_ptr<local::process> running{};

  /// Its process as histories name it.
  std::string process() const { return id + "/" + std::to_string(life); }
};

/// All that is hurt: three regions with a database, a name server and nodes each, and the network
/// between them. Starts all; ends all. Not thread-safe: its processes end with the thread that made
/// it.
class world {
public:
  /// Writes logs and histories into `folder`, which is there.
  world(std::filesystem::path folder, std::uint64_t seed);
  ~world();

  network net;
  std::vector<machine> machines;
  /// The region whose database is the primary.
  std::size_t primary = 0;

  void start(machine& which);
  void kill(machine& which);
  /// Ends it as a deploy does.
  void stop(machine& which);

  local::postgres_server& server(std::size_t region) { return *servers_of_.at(region); }
  /// Runs SQL as superuser in a region.
  std::string sql(std::size_t region, const std::string& text);
  void start_server(std::size_t region);

  /// Makes `next` the primary. The old one stays as it is, and the third one follows the new one.
  void promote(std::size_t next);
  /// Makes the database of a region a replica of the primary, by pg_rewind or from a backup.
  void rebuild(std::size_t region, bool by_rewind);
  /// Whether the region's database gets what the primary writes.
  bool streams(std::size_t region);

  local::dns_server& dns(std::size_t region) { return *dns_.at(region); }
  /// Lets all name servers tell the right addresses, and so many that nobody has any more.
  void set_hosts(int old_addresses);

  /// Returns the machine that leads by the primary's lease; null where none does.
  machine* leader();

  /// Heals all, ends the nodes in order, and returns the history of all of them, with what is there
  /// at the end. Throws where a node does not end, or failed.
  testing::history finish();

  testing::recorder& record() { return record_; }
  const std::filesystem::path& folder() const noexcept { return folder_; }

private:
  void start_databases();
  void start_names();
  std::string address_for(std::size_t viewer, const machine& which) const;
  void add_last(testing::history& into);
  testing::history histories() const;

  std::filesystem::path folder_;
  std::uint64_t seed_;
  std::uint16_t port_;
  testing::recorder record_;
  std::unique_ptr<local::postgres> servers_;
  std::array<local::postgres_server*, region_count> servers_of_{};
  // The port at which region i reaches the database of region j.
  std::array<std::array<std::uint16_t, region_count>, region_count> through_{};
  std::array<std::unique_ptr<local::dns_server>, region_count> dns_;
};

} // namespace fly::chaos
