// The part of postgres.hpp that makes replicas of a server that runs.
#include <filesystem>

#include "apps/local/postgres.hpp"
#include "apps/local/postgres_process.hpp"

namespace fly::local {

void postgres::back_up(const postgres_server& from, const std::filesystem::path& folder) const {
  run_postgres_program({(postgres_programs() / "pg_basebackup").string(), "-D", folder.string(),
                        "-U", "postgres", "-h", "127.0.0.1", "-p", std::to_string(from.port()),
                        "-c", "fast", "--no-sync"},
                       folder.string() + ".log");
}

void postgres::rebuild(postgres_server& replica, const postgres_server& from) {
  replica.stop();
  std::filesystem::remove_all(replica.folder_);
  back_up(from, replica.folder_);
  replica.write_settings(settings_);
  replica.follow(from.port());
  give_to_postgres(replica.folder_);
  replica.start();
}

postgres_server& postgres::add_replica(const postgres_server& from) {
  auto folder = folder_ / ("server" + std::to_string(servers_.size()));
  back_up(from, folder);
  servers_.emplace_back(new postgres_server{folder, settings_});
  servers_.back()->follow(from.port());
  give_to_postgres(folder);
  servers_.back()->start();
  return *servers_.back();
}

} // namespace fly::local
