#pragma once

#include <csignal>
#include <exception>
#include <iostream>
#include <string>

#include <boost/program_options.hpp>

namespace fly::test {

namespace program_options = boost::program_options;

/// Whether memory can be judged: the address sanitizer keeps what is freed, for a while.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool memory_tells = false;
#else
inline constexpr bool memory_tells = true;
#endif

/// Lets SIGINT and SIGTERM wait for `wait`. Made first in main(): threads inherit it.
class end_signals {
public:
  end_signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }

  /// Waits for one of them; the next one ends the program at once.
  void wait() const {
    int number = 0;
    sigwait(&set_, &number);
    pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
  }

private:
  sigset_t set_;
};

/// Runs a program whose command line is nothing but `flags`, to which --help is added: reads it,
/// and calls `work` with what was given for the exit code. What is thrown is told, and ends with 2.
template <class Work>
int run_program(const std::string& name, int argc, char** argv,
                program_options::options_description flags, Work work) {
  try {
    flags.add_options()("help,h", "this text");
    program_options::variables_map given;
    program_options::store(program_options::parse_command_line(argc, argv, flags), given);
    if (given.count("help") != 0) {
      std::cout << flags;
      return 0;
    }
    program_options::notify(given);
    return work(given);
  } catch (const std::exception& reason) {
    std::cerr << name << ": " << reason.what() << '\n';
    return 2;
  }
}

} // namespace fly::test
