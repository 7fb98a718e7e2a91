#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fly/repo/database.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/testing/recorder.hpp"

namespace fly::chaos {

/// The users of one node: threads that write and read until the object ends, and record all of it.
class clients {
public:
  struct options {
    std::string process;
    std::vector<std::string> regions{"syd", "lax", "ams"};
    std::uint64_t seed = 0;
    /// The program's: 2 calls `new_price` first.
    int version = 1;
    std::chrono::milliseconds pause{25};
  };

  clients(rpc::endpoint& rpc, repo::database& db, testing::recorder& into, options given);
  ~clients();

  clients(const clients&) = delete;
  clients& operator=(const clients&) = delete;

private:
  class user;
  static constexpr std::size_t users_max = 3;

  void watch_others();
  void read_of_another(std::size_t turn);
  void call(std::size_t turn);
  void crowd();
  void pause() const;

  rpc::endpoint& rpc_;
  repo::database& db_;
  testing::recorder& into_;
  const options options_;
  std::atomic<bool> ending_{false};
  std::mutex mutex_;
  std::array<std::string, users_max> lists_{}; // guarded by mutex_; what the users write now
  std::vector<std::thread> threads_;
};

} // namespace fly::chaos
