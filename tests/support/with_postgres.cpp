// with_postgres COMMAND...: runs a command with DATABASE_URL, and with PGHOST, PGPORT and PGUSER,
// set to a throw-away primary, and returns its exit code.

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/postgres.hpp"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "with_postgres COMMAND...\n";
    return 2;
  }
  try {
    fly::test::postgres servers;
    setenv("DATABASE_URL", servers.primary().url().c_str(), 1);
    setenv("PGHOST", "127.0.0.1", 1);
    setenv("PGPORT", std::to_string(servers.primary().port()).c_str(), 1);
    setenv("PGUSER", "postgres", 1);
    auto child = fork();
    if (child == 0) {
      execvp(argv[1], argv + 1);
      _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  } catch (const std::exception& reason) {
    std::cerr << reason.what() << '\n';
    return 1;
  }
}
