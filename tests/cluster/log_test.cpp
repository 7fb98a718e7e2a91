// Proves that a log whose reader is stuck costs lines, and nobody's time.
#include "fly/cluster/log.hpp"

#include <array>
#include <chrono>
#include <future>
#include <string>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace fly::cluster;

namespace {

/// A pipe in the place of stderr, while it lives.
class piped_stderr {
public:
  piped_stderr() : own_(::dup(STDERR_FILENO)) {
    REQUIRE(::pipe(ends_.data()) == 0);
    REQUIRE(::dup2(ends_[1], STDERR_FILENO) == STDERR_FILENO);
    ::close(ends_[1]);
  }

  ~piped_stderr() {
    ::dup2(own_, STDERR_FILENO);
    ::close(own_);
    ::close(ends_[0]);
  }

  /// Returns all that waits to be read.
  std::string read_all() const {
    ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    std::string result;
    std::array<char, 4096> buffer{};
    for (ssize_t count = 0; (count = ::read(ends_[0], buffer.data(), buffer.size())) > 0;)
      result.append(buffer.data(), static_cast<std::size_t>(count));
    return result;
  }

private:
  int own_;
  std::array<int, 2> ends_{};
};

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

} // namespace

TEST_CASE("a log that nobody reads drops lines, counts them, and keeps nobody") {
  piped_stderr reader;
  auto sink = log_to_stderr();
  auto logged = std::async(std::launch::async, [&] {
    for (int i = 0; i < 10'000; ++i) // ten times what the pipe holds
      sink(log_level::warning, std::string(100, 'x'));
  });
  bool in_time = logged.wait_for(10s) == std::future_status::ready;
  auto first = reader.read_all(); // also lets go whoever waits
  for (int i = 0; i < 1000 && logged.wait_for(1ms) != std::future_status::ready; ++i)
    first += reader.read_all();
  logged.get();
  REQUIRE(in_time);

  sink(log_level::error, "read again");

  auto lines = first.size() / (100 + std::string{"fly: warning: \n"}.size());
  CHECK(lines > 100);
  CHECK(reader.read_all() == "fly: warning: " + std::to_string(10'000 - lines) +
                                 " lines of the log were dropped: nobody reads them\n"
                                 "fly: error: read again\n");
}

TEST_CASE("a long line is cut, and lines below the least are left out") {
  piped_stderr reader;
  auto sink = log_to_stderr(log_level::info);

  sink(log_level::debug, "not this");
  sink(log_level::info, std::string(100'000, 'x'));

  auto text = reader.read_all();
  CHECK(text.size() == 4096);
  CHECK(text.compare(0, 12, "fly: info: x") == 0);
  CHECK(ends_with(text, "x...\n"));
}
