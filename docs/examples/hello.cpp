// hello                  serves until Ctrl-C
// hello REGION NAME      greets somebody from a node in a region
#include <csignal>
#include <iostream>
#include <string>

#include <fly/fly.hpp>

// What caller and server agree on: a name and types. It belongs into a header that both include.
inline constexpr fly::rpc::function<std::string(std::string)> greet{"hello.greet"};

int main(int argc, char** argv) {
  sigset_t ends; // blocked before the first thread starts, so that all inherit it
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  fly::cluster::node node{fly::cluster::options::from_env()};
  fly::rpc::endpoint rpc{node};
  if (auto reason = rpc.serve(greet, [&node](std::string name) {
        return "hello " + name + ", this is " + node.my_region();
      })) {
    std::cerr << fly::to_string(reason) << '\n';
    return 1;
  }
  if (auto reason = node.join()) {
    std::cerr << fly::to_string(reason) << '\n';
    return 1;
  }

  if (argc == 3) {
    auto answer = fly::rpc_region(rpc, argv[1], greet, argv[2]);
    std::cout << (answer ? *answer : fly::to_string(answer.error())) << '\n';
    return answer ? 0 : 1;
  }
  int signal = 0;
  sigwait(&ends, &signal);
  node.leave(); // says goodbye: the others need not notice a silence
}
