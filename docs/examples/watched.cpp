// watched [ADDRESS:PORT]: serves until Ctrl-C, and answers there who watches it.
#include <csignal>
#include <cstdint>
#include <iostream>
#include <string>

#include <fly/admin/server.hpp>
#include <fly/fly.hpp>

inline constexpr fly::rpc::function<std::int64_t(std::int64_t)> twice{"numbers.twice"};

int main(int argc, char** argv) {
  sigset_t ends; // blocked before the first thread starts, so that all inherit it
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  auto where = fly::cluster::options::from_env();
  fly::cluster::node node{where};
  fly::rpc::endpoint rpc{node};
  fly::repo::database db{rpc, fly::repo::options::from_env(where)};
  fly::admin::server admin{node, rpc, db, {.listen = argc > 1 ? argv[1] : "127.0.0.1:9100"}};
  auto failed = [](const caf::error& reason) {
    std::cerr << fly::to_string(reason) << '\n';
    return 1;
  };
  if (auto reason = rpc.serve(twice, [](std::int64_t n) { return 2 * n; }))
    return failed(reason);
  if (auto reason = admin.start()) // before the node joins: /healthz at once, /readyz when it is
    return failed(reason);
  if (auto reason = node.join())
    return failed(reason);
  std::cout << "watch it at http://" << admin.address() << std::endl;

  int signal = 0;
  sigwait(&ends, &signal);
  node.leave();
}
