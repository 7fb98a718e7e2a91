#include "apps/local/postgres.hpp"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <libpq-fe.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/local/eventually.hpp"
#include "apps/local/postgres_process.hpp"
#include "apps/local/process.hpp"

namespace fly::local {

using namespace std::chrono_literals;

namespace {

using connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;

std::string run_sql(const std::string& url, const std::string& text) {
  connection link{PQconnectdb(url.c_str()), &PQfinish};
  if (PQstatus(link.get()) != CONNECTION_OK)
    throw std::runtime_error{PQerrorMessage(link.get())};
  std::unique_ptr<PGresult, decltype(&PQclear)> result{PQexec(link.get(), text.c_str()), &PQclear};
  auto status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
    throw std::runtime_error{text + ": " + PQerrorMessage(link.get())};
  return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

std::string program(const char* name) {
  return (postgres_programs() / name).string();
}

/// A data folder with role and database "app", made once per program and copied from then on.
class template_data {
public:
  template_data() : folder_(make_postgres_folder()) {
    guardian_ = spawn_guardian(folder_, pipe_);
    make(folder_ / "data", folder_ / "log");
  }

  ~template_data() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    if (::write(pipe_, "done\n", 5) == 5)
      wait_for_child(guardian_);
    ::close(pipe_);
  }

  static void make(const std::filesystem::path& data, const std::filesystem::path& log) {
    run_postgres_program({program("initdb"), "-D", data.string(), "-A", "trust", "-U", "postgres",
                          "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"},
                         log);
    auto script = data.string() + ".sql";
    std::ofstream{script} << "CREATE ROLE app LOGIN;\n"
                             "CREATE DATABASE app OWNER app;\n"
                             "CREATE TABLE fly_test_mark (n bigint);\n";
    // Single-user mode: no port, no socket, nobody else.
    run_postgres_program({"/bin/sh", "-c", R"("$0" --single -F -D "$1" postgres < "$2")",
                          program("postgres"), data.string(), script},
                         log);
  }

  const std::filesystem::path data() const { return folder_ / "data"; }

private:
  std::filesystem::path folder_;
  int pipe_ = -1;
  pid_t guardian_ = 0;
};

const std::filesystem::path shared_template() {
  static const template_data made;
  return made.data();
}

std::filesystem::path foreign_template() {
  auto folder = make_postgres_folder();
  template_data::make(folder / "data", folder / "log");
  return folder / "data";
}

} // namespace

// -- postgres_server ------------------------------------------------------------------------------

postgres_server::postgres_server(std::filesystem::path folder, std::vector<std::string> settings)
    : folder_(std::move(folder)), port_(free_port()) {
  write_settings(std::move(settings));
}

postgres_server::~postgres_server() {
  end(SIGQUIT);
}

std::string postgres_server::url(std::string_view role) const {
  return "postgresql://" + std::string{role} + "@127.0.0.1:" + std::to_string(port_) + "/app";
}

std::string postgres_server::sql(const std::string& text) const {
  return run_sql(url("postgres") + "?connect_timeout=5", text);
}

bool postgres_server::answers() const {
  return PQping(url("postgres").c_str()) == PQPING_OK;
}

void postgres_server::start() {
  if (running())
    return;
  pid_ = spawn_postgres_program({program("postgres"), "-D", folder_.string()},
                                folder_.string() + ".log");
  // One that cannot start has ended, and is not waited for.
  auto ended = [this] { return ::waitpid(pid_, nullptr, WNOHANG) == pid_ && (pid_ = 0, true); };
  if (!eventually([&] { return ended() || answers(); }, 30s) || !running())
    throw std::runtime_error{"PostgreSQL does not answer on port " + std::to_string(port_) + ": " +
                             log()};
}

void postgres_server::end(int signal) {
  if (!running())
    return;
  ::kill(pid_, signal);
  thaw(); // a frozen one hears of it only then
  wait_for_child(std::exchange(pid_, 0));
}

void postgres_server::stop() {
  end(SIGINT);
}

void postgres_server::kill() {
  end(SIGQUIT);
}

void postgres_server::restart() {
  kill();
  start();
}

void postgres_server::freeze() {
  signal_with_children(mark_of(pid_), SIGSTOP);
}

void postgres_server::thaw() {
  signal_with_children(mark_of(pid_), SIGCONT);
}

void postgres_server::pause_replay() {
  sql("SELECT pg_wal_replay_pause()");
  if (!eventually([this] { return sql("SELECT pg_get_wal_replay_pause_state()") == "paused"; }))
    throw std::runtime_error{"replay does not pause"};
}

void postgres_server::resume_replay() {
  sql("SELECT pg_wal_replay_resume()");
}

void postgres_server::promote() {
  if (sql("SELECT pg_promote(true, 30)") != "t")
    throw std::runtime_error{"not promoted after 30 s: " + log()};
}

void postgres_server::follow_instead(const postgres_server& from, std::uint16_t through) const {
  follow(through != 0 ? through : from.port());
  if (running())
    ::kill(pid_, SIGHUP); // as pg_reload_conf() does; one that is frozen reads it later
}

std::string postgres_server::log() const {
  std::ifstream in{folder_.string() + ".log"};
  std::stringstream text;
  text << in.rdbuf();
  auto all = text.str();
  return all.size() > 4000 ? all.substr(all.size() - 4000) : all;
}

void postgres_server::write_settings(std::vector<std::string> settings) const {
  std::ofstream out{folder_ / "fly.conf"};
  out << "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nport = " << port_
      << "\nfsync = off\n";
  for (const auto& it : settings)
    out << it << '\n';
  std::ofstream{folder_ / "postgresql.conf", std::ios::app} << "include 'fly.conf'\n";
}

void postgres_server::follow(std::uint16_t primary_port) const {
  std::ofstream{folder_ / "standby.signal"};
  std::ofstream{folder_ / "fly.conf", std::ios::app}
      << "primary_conninfo = 'host=127.0.0.1 user=postgres port=" << primary_port << "'\n";
}

// -- postgres -------------------------------------------------------------------------------------

postgres::postgres(std::size_t replicas, std::vector<std::string> settings)
    : postgres(postgres_options{.replicas = replicas, .settings = std::move(settings)}) {}

postgres::postgres(foreign, std::vector<std::string> settings)
    : postgres(postgres_options{.settings = std::move(settings), .foreign = true}) {}

postgres::postgres(postgres_options options)
    : postgres(options.foreign ? foreign_template() : shared_template(), options) {}

postgres::postgres(const std::filesystem::path& data, postgres_options options)
    : folder_(make_postgres_folder()), settings_(std::move(options.settings)) {
  guardian_ = spawn_guardian(folder_, guardian_pipe_);
  try {
    copy(data, options);
    for (auto& it : servers_)
      it->start();
    wait_caught_up();
  } catch (...) {
    end();
    throw;
  }
}

void postgres::copy(const std::filesystem::path& data, const postgres_options& options) {
  struct remover {
    ~remover() {
      std::error_code ignored;
      if (!folder.empty())
        std::filesystem::remove_all(folder, ignored);
    }
    std::filesystem::path folder;
  } foreign{options.foreign ? data.parent_path() : ""};
  for (std::size_t i = 0; i <= options.replicas; ++i) {
    // A copy of a server that was shut down in order is as good a start for a replica as a backup.
    auto folder = folder_ / ("server" + std::to_string(i));
    std::filesystem::copy(data, folder, std::filesystem::copy_options::recursive);
    servers_.emplace_back(new postgres_server{folder, settings_});
    auto port = primary().port();
    if (i > 0)
      servers_.back()->follow(options.route ? options.route(i - 1, port) : port);
    give_to_postgres(folder);
  }
}

postgres::~postgres() {
  end();
}

void postgres::end() {
  servers_.clear();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  if (::write(guardian_pipe_, "done\n", 5) == 5)
    wait_for_child(guardian_);
  ::close(guardian_pipe_);
}

void postgres::wait_caught_up(postgres_server& replica, postgres_server& from) {
  auto in_postgres = [](const postgres_server& server) {
    auto url = server.url("postgres");
    return url.substr(0, url.rfind('/')) + "/postgres";
  };
  auto mark = run_sql(in_postgres(from), "INSERT INTO fly_test_mark SELECT coalesce(max(n), 0) + 1 "
                                         "FROM fly_test_mark RETURNING n");
  auto query = "SELECT count(*) FROM fly_test_mark WHERE n = " + mark;
  if (!eventually([&] { return run_sql(in_postgres(replica), query) == "1"; }, 20s))
    throw std::runtime_error{"the replica does not catch up: " + replica.log()};
}

} // namespace fly::local
