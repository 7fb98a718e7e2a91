// The part of postgres.hpp that makes replicas of a server that runs.
#include <filesystem>

#include "apps/local/postgres.hpp"
#include "apps/local/postgres_process.hpp"

namespace fly::local {

namespace {

std::uint16_t port_of(const postgres_server& from, std::uint16_t through) {
  return through != 0 ? through : from.port();
}

} // namespace

void postgres::back_up(std::uint16_t port, const std::filesystem::path& folder) const {
  run_postgres_program({(postgres_programs() / "pg_basebackup").string(), "-D", folder.string(),
                        "-U", "postgres", "-h", "127.0.0.1", "-p", std::to_string(port), "-c",
                        "fast", "--no-sync"},
                       folder.string() + ".log");
}

void postgres::rebuild(postgres_server& replica, const postgres_server& from,
                       std::uint16_t through) {
  replica.stop();
  std::filesystem::remove_all(replica.folder_);
  back_up(port_of(from, through), replica.folder_);
  replica.write_settings(settings_);
  replica.follow(port_of(from, through));
  give_to_postgres(replica.folder_);
  replica.start();
}

void postgres::rewind(postgres_server& old, const postgres_server& from, std::uint16_t through) {
  old.stop();
  run_postgres_program({(postgres_programs() / "pg_rewind").string(), "-D", old.folder_.string(),
                        "--source-server=host=127.0.0.1 user=postgres dbname=app port=" +
                            std::to_string(port_of(from, through)),
                        "--no-sync"},
                       old.folder_.string() + ".log");
  old.write_settings(settings_); // the files of the other server came along
  old.follow(port_of(from, through));
  give_to_postgres(old.folder_);
  old.start();
}

postgres_server& postgres::add_replica(const postgres_server& from, std::uint16_t through) {
  auto folder = folder_ / ("server" + std::to_string(servers_.size()));
  back_up(port_of(from, through), folder);
  servers_.emplace_back(new postgres_server{folder, settings_});
  servers_.back()->follow(port_of(from, through));
  give_to_postgres(folder);
  servers_.back()->start();
  return *servers_.back();
}

} // namespace fly::local
