#include "tests/bench/rpc/peer.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <sstream>
#include <string_view>
#include <thread>

namespace fly::bench {

namespace {

/// Ends the process, whatever its other threads do, once nobody holds the other end of its input.
void end_with_input() {
  std::thread{[] {
    std::string line;
    while (std::getline(std::cin, line)) {
    }
    std::_Exit(0);
  }}.detach();
}

float percentile(std::vector<float>& values, double share) {
  if (values.empty())
    return 0;
  auto place =
      values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

std::string answer(client& from, const work& what) {
  stopwatch time{what};
  auto began = clock::now();
  from.run(what, time);
  std::chrono::duration<double> took = clock::now() - began;
  auto& all = time.took_us();
  std::ostringstream out;
  out << percentile(all, 0.5) << ' ' << percentile(all, 0.99) << ' ' << all.size() << ' '
      << static_cast<double>(all.size()) / took.count();
  return out.str();
}

int ask(client& from) {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream in{line};
    work what;
    in >> what.bytes >> what.in_flight >> what.seconds >> what.variant;
    if (what.variant == "-")
      what.variant.clear();
    try {
      std::cout << answer(from, what) << std::endl;
    } catch (const std::exception& reason) {
      std::cout << "failed " << reason.what() << std::endl;
    }
  }
  std::_Exit(0); // what the system's own threads still do does not matter
}

} // namespace

std::string tls_folder() {
  const char* folder = std::getenv("FLY_BENCH_TLS");
  return folder == nullptr ? std::string{} : folder;
}

int peer_main(int argc, char** argv, const peer& it) {
  std::string_view role = argc > 1 ? argv[1] : "";
  try {
    if (role == "server") {
      end_with_input();
      it.serve([](std::uint16_t port) { std::cout << port << std::endl; });
      return 1;
    }
    if (role == "client" && argc > 2)
      return ask(*it.connect(static_cast<std::uint16_t>(std::stoi(argv[2]))));
    std::cerr << "usage: " << argv[0] << " server | client PORT\n";
  } catch (const std::exception& reason) {
    std::cerr << argv[0] << ": " << reason.what() << '\n';
  }
  return 2;
}

} // namespace fly::bench
