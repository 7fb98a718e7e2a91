#pragma once

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>

#include <sys/types.h>
#include <unistd.h>

#include "apps/local/loopback_block.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/postgres_process.hpp"

namespace fly::test {

/// A pgbouncer before one server, in transaction mode or with settings of its own, for the ordinary
/// role "app", with few sessions, so that connections share them. Runs until the object ends; where
/// the program dies first, a guardian ends it. Throws where it cannot be started.
class pgbouncer {
public:
  explicit pgbouncer(const postgres_server& server,
                     std::string settings_of_mode = "pool_mode = transaction\n")
      : mode_(std::move(settings_of_mode)) {
    std::filesystem::create_directory(folder_ / "bouncer");
    std::ofstream{folder_ / "bouncer" / "users"} << "\"app\" \"\"\n";
    write_settings(server);
    give_to_postgres(folder_);
    pid_ =
        spawn_postgres_program({"/usr/sbin/pgbouncer", "-q", settings().string()}, folder_ / "log");
    // The guardian looks for files of this name.
    std::ofstream{folder_ / "bouncer" / "postmaster.pid"} << pid_ << '\n';
    guardian_ = spawn_guardian(folder_, guardian_pipe_);
    if (!eventually([this] { return local::is_listened("127.0.0.1", port_); }))
      throw std::runtime_error{"pgbouncer does not listen"};
  }

  ~pgbouncer() {
    ::kill(pid_, SIGQUIT);
    wait_for_child(pid_);
    if (::write(guardian_pipe_, "done\n", 5) == 5)
      wait_for_child(guardian_);
    ::close(guardian_pipe_);
    std::filesystem::remove_all(folder_);
  }

  pgbouncer(const pgbouncer&) = delete;
  pgbouncer& operator=(const pgbouncer&) = delete;

  /// Stands before another server from now on, as after a RELOAD: connections to it stay, and get
  /// sessions of that one with their next transactions.
  void point_to(const postgres_server& server) {
    write_settings(server);
    ::kill(pid_, SIGHUP);
  }

  /// Returns the URL of database "app" through it.
  std::string url() const { return "postgresql://app@127.0.0.1:" + std::to_string(port_) + "/app"; }

private:
  std::filesystem::path settings() const { return folder_ / "bouncer" / "ini"; }

  void write_settings(const postgres_server& server) const {
    std::ofstream{settings()} << "[databases]\n* = host=127.0.0.1 port=" << server.port()
                              << "\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " << port_
                              << "\nunix_socket_dir =\nauth_type = trust\nauth_file = "
                              << (folder_ / "bouncer" / "users").string() << '\n'
                              << mode_ << "default_pool_size = 4\nserver_login_retry = 0.1\n";
  }

  const std::string mode_;
  std::filesystem::path folder_ = make_postgres_folder();
  std::uint16_t port_ = free_port();
  pid_t pid_ = 0;
  int guardian_pipe_ = -1;
  pid_t guardian_ = 0;
};

} // namespace fly::test
