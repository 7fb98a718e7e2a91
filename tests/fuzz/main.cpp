// fly_fuzz: gives all parsers inputs that are almost well-formed, from a seed, without a compiler
// that guides it. tests/fuzz/run does the same with libFuzzer, which finds more.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>

#include <unistd.h>

#include <boost/program_options.hpp>

#include "tests/fuzz/targets.hpp"

namespace po = boost::program_options;

namespace {

using namespace fly::fuzz;
using clock_type = std::chrono::steady_clock;

std::string last_input; // for the message of a crash
const char* last_target = "";

/// Says which input it was; only write(2) is safe here.
extern "C" void on_crash(int number) {
  static constexpr char digits[] = "0123456789abcdef";
  auto say = [](const char* data, std::size_t size) {
    auto ignored = ::write(STDERR_FILENO, data, size);
    static_cast<void>(ignored);
  };
  say("crash in ", 9);
  say(last_target, std::char_traits<char>::length(last_target));
  say(", input in hex: ", 16);
  for (unsigned char each : last_input) {
    char pair[] = {digits[each >> 4], digits[each & 15]};
    say(pair, 2);
  }
  say("\n", 1);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

std::string mutated(std::string input, std::mt19937_64& random) {
  auto below = [&](std::size_t bound) { return bound == 0 ? 0 : random() % bound; };
  for (auto changes = 1 + below(4); changes > 0; --changes) {
    auto at = below(input.size() + 1);
    switch (below(6)) {
    case 0:
      input.insert(at, 1, static_cast<char>(random()));
      break;
    case 1:
      input.erase(at, 1 + below(4));
      break;
    case 2:
      if (at < input.size())
        input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
      break;
    case 3:
      input.insert(at, input.substr(below(input.size() + 1), below(16)));
      break;
    case 4:
      input.resize(at);
      break;
    default:
      for (auto i = at; i < input.size() && i < at + 4; ++i)
        input[i] = below(2) == 0 ? '\xff' : '\0';
    }
  }
  return input;
}

} // namespace

int main(int argc, char** argv) {
  double seconds = 5;
  std::uint64_t seed = std::random_device{}();
  std::string only;
  po::options_description flags{"fly_fuzz: bad input for every parser"};
  flags.add_options()("help,h", "this text")("seconds", po::value(&seconds), "how long (5)")(
      "seed", po::value(&seed), "of the random numbers")("only", po::value(&only), "one target");
  try {
    po::variables_map given;
    po::store(po::parse_command_line(argc, argv, flags), given);
    po::notify(given);
    if (given.count("help") != 0) {
      std::cout << flags;
      return 0;
    }
  } catch (const po::error& reason) {
    std::cerr << "fly_fuzz: " << reason.what() << '\n';
    return 2;
  }
  if (!only.empty() && find(only) == nullptr) {
    std::cerr << "fly_fuzz: no target " << only << '\n';
    return 2;
  }
  for (int number : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGBUS})
    ::signal(number, on_crash);
  std::mt19937_64 random{seed};
  std::size_t inputs = 0;
  auto end = clock_type::now() + std::chrono::duration<double>(seconds);
  while (clock_type::now() < end) {
    for (const auto& each : targets()) {
      if (!only.empty() && only != each.name)
        continue;
      last_target = each.name;
      for (int i = 0; i < 50; ++i, ++inputs) {
        last_input = each.seeds[random() % each.seeds.size()];
        if (i > 0)
          last_input = mutated(std::move(last_input), random);
        each.run(last_input);
      }
    }
  }
  std::cout << "seed " << seed << ", " << inputs << " inputs, " << targets().size()
            << " targets, no crash\n";
  return 0;
}
