#include "apps/local/postgres_process.hpp"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fly::local {

namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error{errno, std::generic_category(), what};
}

/// The user to run PostgreSQL as; null where we are not root and may run it ourselves.
const passwd* postgres_user() {
  if (::geteuid() != 0)
    return nullptr;
  const passwd* user = ::getpwnam("postgres");
  if (user == nullptr)
    throw std::runtime_error{"no user \"postgres\": install the package postgresql"};
  return user;
}

std::string read_all(const std::filesystem::path& file) {
  std::ifstream in{file};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<char*> pointers(const std::vector<std::string>& arguments) {
  std::vector<char*> result;
  for (const auto& it : arguments)
    result.push_back(const_cast<char*>(it.c_str()));
  result.push_back(nullptr);
  return result;
}

} // namespace

std::filesystem::path postgres_programs() {
  std::filesystem::path best;
  int newest = 0;
  std::error_code none;
  for (const auto& it : std::filesystem::directory_iterator{"/usr/lib/postgresql", none}) {
    int version = std::atoi(it.path().filename().c_str());
    if (version > newest && std::filesystem::exists(it.path() / "bin" / "initdb")) {
      newest = version;
      best = it.path() / "bin";
    }
  }
  if (best.empty())
    throw std::runtime_error{
        "no PostgreSQL server in /usr/lib/postgresql/*/bin: install the package postgresql"};
  return best;
}

pid_t spawn_postgres_program(const std::vector<std::string>& arguments,
                             const std::filesystem::path& log) {
  const auto* user = postgres_user();
  auto argv = pointers(arguments);
  int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (out < 0)
    fail("open " + log.string());
  pid_t pid = ::fork();
  if (pid < 0)
    fail("fork");
  if (pid == 0) {
    ::setsid(); // a Ctrl-C at the terminal is for us; we end our servers
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::close(STDIN_FILENO);
    if (user != nullptr && (::initgroups(user->pw_name, user->pw_gid) != 0 ||
                            ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0))
      ::_exit(126);
    if (::chdir("/") != 0)
      ::_exit(126);
    ::execv(argv.front(), argv.data());
    ::_exit(127);
  }
  ::close(out);
  return pid;
}

void run_postgres_program(const std::vector<std::string>& arguments,
                          const std::filesystem::path& log) {
  pid_t pid = spawn_postgres_program(arguments, log);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      fail("waitpid");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw std::runtime_error{arguments.front() + " failed: " + read_all(log)};
}

std::filesystem::path make_postgres_folder() {
  auto name = (std::filesystem::temp_directory_path() / "fly-postgres-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    fail("mkdtemp " + name);
  give_to_postgres(name);
  return name;
}

void give_to_postgres(const std::filesystem::path& folder) {
  const auto* user = postgres_user();
  if (user == nullptr)
    return;
  auto give = [&](const std::filesystem::path& path) {
    if (::lchown(path.c_str(), user->pw_uid, user->pw_gid) != 0)
      fail("chown " + path.string());
  };
  give(folder);
  for (const auto& it : std::filesystem::recursive_directory_iterator{folder})
    give(it.path());
}

pid_t spawn_guardian(const std::filesystem::path& folder, int& guardian_pipe) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    fail("pipe");
  // It reads "done" after an orderly end, and nothing where this program has died.
  static const char script[] = "read -r word && exit 0\n"
                               "for it in \"$0\"/*/postmaster.pid; do\n"
                               "  [ -f \"$it\" ] || continue\n"
                               "  pid=$(head -n 1 \"$it\")\n"
                               "  kill -QUIT \"$pid\"; kill -CONT \"$pid\"\n"
                               "done\n"
                               "sleep 1\n"
                               "rm -rf \"$0\"\n";
  std::string path = folder.string();
  pid_t pid = ::fork();
  if (pid < 0)
    fail("fork");
  if (pid == 0) {
    ::setsid();
    ::dup2(ends[0], STDIN_FILENO);
    int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::execl("/bin/sh", "sh", "-c", script, path.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(ends[0]);
  guardian_pipe = ends[1];
  return pid;
}

void wait_for_child(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::uint16_t free_port() {
  // Below the ports that the kernel gives to connections: those come and go at any moment.
  static std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> ports{15'000, 31'999};
  for (int attempts = 0; attempts < 1000; ++attempts) {
    int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(ports(random)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool bound = ::bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    ::close(probe);
    if (bound)
      return ntohs(address.sin_port);
  }
  fail("find a free port");
}

} // namespace fly::local
