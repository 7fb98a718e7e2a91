#pragma once

#include <csignal>
#include <string>

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

namespace fly::test {

/// The program `fly_rpc_peer` (peer.cpp) as a process: a shop that can be killed.
class peer_process {
public:
  peer_process(const std::string& region, const std::string& peer) {
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::execl(FLY_RPC_PEER, FLY_RPC_PEER, region.c_str(), peer.c_str(), nullptr);
      ::_exit(127);
    }
  }

  ~peer_process() { kill(); }
  peer_process(const peer_process&) = delete;
  peer_process& operator=(const peer_process&) = delete;

  void kill() {
    if (pid_ <= 0)
      return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

private:
  pid_t pid_ = 0;
};

} // namespace fly::test
