#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace fly::local {

/// One throw-away PostgreSQL server on a free loopback port. Made by `postgres` only. Every
/// function blocks, and throws std::runtime_error with the server's words where it fails. Not
/// thread-safe.
class postgres_server {
public:
  ~postgres_server();

  postgres_server(const postgres_server&) = delete;
  postgres_server& operator=(const postgres_server&) = delete;

  /// Returns the URL of database "app", for the ordinary role "app" or another one.
  std::string url(std::string_view role = "app") const;

  /// Returns the port on 127.0.0.1; it stays over restarts.
  std::uint16_t port() const noexcept { return port_; }

  /// Runs SQL in database "app" as superuser, on a connection of its own. Returns the first field
  /// of the last statement's first row, "" where there is none (or NULL).
  std::string sql(const std::string& text) const;

  /// Starts the server and waits until it answers.
  void start();

  /// Stops it in order (fast shutdown); does nothing where it does not run.
  void stop();

  /// Ends it without a word to anybody (immediate shutdown), as a crash would.
  void kill();

  /// `kill`, then `start`.
  void restart();

  /// Freezes all its processes (SIGSTOP) until `thaw`; connections stay open and silent.
  void freeze();
  void thaw();

  /// Stops replaying what still arrives from the primary, until `resume_replay`.
  void pause_replay();
  void resume_replay();

  /// Makes a replica writable on a new timeline and waits until it is, up to 30 s.
  void promote();

  /// Makes this replica follow `from` from now on, without a restart, or from its next start; at
  /// the port `through` of a proxy, where that is not 0.
  void follow_instead(const postgres_server& from, std::uint16_t through = 0) const;

  /// Returns whether the server runs.
  bool running() const noexcept { return pid_ > 0; }

  /// Returns the end of the server's log, for messages about what failed.
  std::string log() const;

  /// Returns the file of the whole log.
  std::filesystem::path log_file() const { return folder_.string() + ".log"; }

  /// Returns the pid of the postmaster, 0 while it does not run.
  pid_t pid() const noexcept { return pid_; }

private:
  friend class postgres;
  postgres_server(std::filesystem::path folder, std::vector<std::string> settings);

  void write_settings(std::vector<std::string> settings) const;
  void follow(std::uint16_t primary_port) const;
  void end(int signal);
  bool answers() const;

  std::filesystem::path folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = 0; // of the postmaster, our child; 0 while it does not run
};

/// What a throw-away primary with replicas may be made of.
struct postgres_options {
  std::size_t replicas = 0;
  /// Lines of postgresql.conf for all servers.
  std::vector<std::string> settings{};
  /// Returns the port of 127.0.0.1 at which replica `index` reaches the primary, which listens on
  /// `primary_port`: a proxy's. Called before any server starts; may throw to give up. Empty: the
  /// primary's own.
  std::function<std::uint16_t(std::size_t index, std::uint16_t primary_port)> route{};
  /// Makes data of its own instead of copying what another `postgres` of this program began with:
  /// its system identifier is its own, and nothing stays until the program ends.
  bool foreign = false;
};

/// A throw-away primary with streaming replicas: role "app" (ordinary) and database "app" (owned by
/// it), fsync off, everything else as PostgreSQL has it. The data folders are copies of one that is
/// made once per program. All servers end and all folders go with the object, or, where the
/// program dies first, by a guardian process.
class postgres {
public:
  /// Starts `replicas` + 1 servers. `settings` are lines of postgresql.conf for all of them.
  /// Throws std::runtime_error where PostgreSQL is not installed.
  explicit postgres(std::size_t replicas = 0, std::vector<std::string> settings = {});
  explicit postgres(postgres_options options);

  ~postgres();

  postgres(const postgres&) = delete;
  postgres& operator=(const postgres&) = delete;

  postgres_server& primary() { return *servers_.front(); }
  postgres_server& replica(std::size_t index = 0) { return *servers_.at(index + 1); }

  /// Adds a replica of `from` by pg_basebackup and starts it. Here and below `through` is the port
  /// of a proxy to `from`; 0: none.
  postgres_server& add_replica(const postgres_server& from, std::uint16_t through = 0);

  /// Makes `replica` anew from a backup of `from`, at its port; stops it first where it runs.
  void rebuild(postgres_server& replica, const postgres_server& from, std::uint16_t through = 0);

  /// Makes an old primary a replica of `from` by pg_rewind: what it has beyond the point where the
  /// two parted is lost. Stops it first. Takes the setting wal_log_hints = on.
  void rewind(postgres_server& old, const postgres_server& from, std::uint16_t through = 0);

  /// Waits until `replica` has replayed all that `from` has committed so far. Throws after 20 s.
  void wait_caught_up(postgres_server& replica, postgres_server& from);
  void wait_caught_up() {
    for (std::size_t i = 1; i < servers_.size(); ++i)
      wait_caught_up(*servers_[i], primary());
  }

  /// Returns the folder of all its data and logs.
  const std::filesystem::path& folder() const noexcept { return folder_; }

  /// Makes a primary with a system identifier of its own, see `postgres_options::foreign`.
  struct foreign {};
  explicit postgres(foreign, std::vector<std::string> settings = {});

private:
  postgres(const std::filesystem::path& data, postgres_options options);

  void copy(const std::filesystem::path& data, const postgres_options& options);
  void back_up(std::uint16_t port, const std::filesystem::path& folder) const;
  void end();

  std::filesystem::path folder_;
  std::vector<std::string> settings_;
  int guardian_pipe_ = -1;
  pid_t guardian_ = 0;
  std::vector<std::unique_ptr<postgres_server>> servers_;
};

} // namespace fly::local
