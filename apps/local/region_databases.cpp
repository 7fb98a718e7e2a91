#include "apps/local/region_databases.hpp"

#include <algorithm>
#include <stdexcept>

#include "apps/local/eventually.hpp"

namespace fly::local {

namespace {

using namespace std::chrono_literals;

constexpr auto follow_time_max = 3s;

/// The first eight digits of a log file's name are its timeline.
constexpr const char* timeline_digits = "substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8)";

} // namespace

region_databases::region_databases(const playground_options& options, region_lines& lines,
                                   const std::function<void()>& checkpoint)
    : all_regions_(options.regions), lines_(lines), primary_(options.primary_region()) {
  auto replicas = options.replica_regions();
  auto route = [&](std::size_t replica, std::uint16_t port) {
    checkpoint();
    return lines_.to_database(index(replicas.at(replica)), index(primary_), port);
  };
  servers_ = std::make_unique<postgres>(postgres_options{
      .replicas = replicas.size(),
      .settings = {"max_wal_senders = 20", "max_connections = 200", "shared_buffers = 32MB",
                   "wal_keep_size = 256MB", "wal_retrieve_retry_interval = 200ms"},
      .route = route,
      .foreign = true});
  regions_.push_back(primary_);
  server_of_[primary_] = &servers_->primary();
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    regions_.push_back(replicas[i]);
    server_of_[replicas[i]] = &servers_->replica(i);
  }
}

std::size_t region_databases::index(const std::string& region) const {
  auto found = std::find(all_regions_.begin(), all_regions_.end(), region);
  return static_cast<std::size_t>(found - all_regions_.begin());
}

std::uint16_t region_databases::line(const std::string& from, const std::string& to) {
  return lines_.to_database(index(from), index(to), server_of_.at(to)->port());
}

postgres_server* region_databases::find(const std::string& region) {
  auto found = server_of_.find(region);
  return found == server_of_.end() ? nullptr : found->second;
}

std::string region_databases::role(const std::string& region) const {
  if (region == primary_)
    return "primary";
  return left_.contains(region) ? "old primary" : "replica";
}

timeline_switch region_databases::promote(const std::string& region) {
  auto& next = *server_of_.at(region);
  next.promote();
  left_.insert(primary_);
  primary_ = region;
  for (const auto& each : regions_)
    if (each != region && !left_.contains(each))
      server_of_.at(each)->follow_instead(next, line(each, region));
  auto digits = next.sql(std::string{"SELECT "} + timeline_digits);
  auto history = next.sql("SELECT pg_read_file('pg_wal/" + digits + ".history')");
  auto result = read_switch(static_cast<std::uint32_t>(std::stoul(digits, nullptr, 16)), history);
  if (!result)
    throw std::runtime_error{"the history of timeline " + digits + " is empty"};
  return *result;
}

void region_databases::rebuild(const std::string& region) {
  servers_->rebuild(*server_of_.at(region), *server_of_.at(primary_), line(region, primary_));
  left_.erase(region);
}

std::vector<std::string> region_databases::astray() {
  auto timeline = server_of_.at(primary_)->sql(std::string{"SELECT ('x' || "} + timeline_digits +
                                               ")::bit(32)::int8");
  auto streams = [&](const std::string& region) {
    try {
      return server_of_.at(region)->sql("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = "
                                        "'streaming' AND received_tli = " +
                                        timeline) == "1";
    } catch (const std::runtime_error&) {
      return false; // it does not answer
    }
  };
  std::vector<std::string> result;
  for (const auto& each : regions_)
    if (each != primary_ &&
        (left_.contains(each) || !eventually([&] { return streams(each); }, follow_time_max)))
      result.push_back(each);
  return result;
}

} // namespace fly::local
