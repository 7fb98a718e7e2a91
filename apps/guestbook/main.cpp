// The example service: one node of a guestbook that is served in many regions.

#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include <boost/program_options.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include "apps/admin/server.hpp"
#include "apps/common/signals.hpp"
#include "apps/guestbook/book.hpp"
#include "apps/guestbook/http.hpp"
#include "fly/actors/error.hpp"
#include "fly/actors/supervisor.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database.hpp"
#include "fly/rpc/endpoint.hpp"

namespace po = boost::program_options;
using namespace std::chrono_literals;

namespace {

struct settings {
  fly::cluster::options cluster = fly::cluster::options::from_env();
  fly::repo::options repo = fly::repo::options::from_env(cluster);
  std::string http = "127.0.0.1:8080";
  std::string admin; // none
};

/// Reads the flags into `chosen`. Returns false where the program is to end with `status`.
bool parse(int argc, char** argv, settings& chosen, int& status) {
  po::options_description flags{"A guestbook: one node of a service in many regions.\n\n"
                                "Options (defaults < environment < flags)"};
  flags.add_options()("help,h", "this text") //
      ("http", po::value(&chosen.http)->default_value(chosen.http),
       "address and port of the page and the HTTP interface") //
      ("admin", po::value(&chosen.admin)->value_name("ADDRESS:PORT"),
       "where to answer /metrics, /healthz, /readyz and /status; loopback or 6PN only");
  chosen.cluster.describe(flags);
  chosen.repo.describe(flags);
  try {
    po::variables_map given;
    po::store(po::parse_command_line(argc, argv, flags), given);
    po::notify(given);
    if (given.count("help") == 0)
      return true;
    std::cout << flags;
    status = EXIT_SUCCESS;
  } catch (const po::error& reason) {
    std::cerr << "guestbook: " << reason.what() << "; --help lists the options\n";
    status = 2;
  }
  return false;
}

int fail(const caf::error& reason) {
  std::cerr << "guestbook: " << fly::to_string(reason) << '\n';
  return EXIT_FAILURE;
}

/// Makes the table as soon as a primary can be reached, and gives up when the service ends.
void prepare_tables(const fly::repo::database& db, const std::stop_token& ending) {
  std::mutex mutex;
  std::condition_variable_any ended;
  while (!ending.stop_requested()) {
    auto made = fly::rpc_primary(db.with({.timeout = 2s}), guestbook::create_tables);
    if (made)
      return;
    if (fly::code_of(made.error()) == fly::errc::sql_failed)
      std::cerr << "guestbook: " << fly::to_string(made.error()) << '\n';
    std::unique_lock lock{mutex};
    ended.wait_for(lock, ending, 500ms, [] { return false; });
  }
}

int run(const settings& chosen) {
  caf::actor_system_config config;
  fly::cluster::prepare(config);
  caf::actor_system system{config};

  fly::cluster::node node{system, chosen.cluster};
  fly::rpc::endpoint rpc{node};
  fly::repo::database db{rpc, chosen.repo};
  if (auto reason = db.usable())
    return fail(reason);
  guestbook::serve(rpc, db);
  fly::actors::supervisor tree{
      system,
      {.strategy = fly::actors::strategy::rest_for_one},
      {fly::rpc::child(rpc), fly::repo::child(db), fly::repo::tracker_child(db)}};
  if (auto reason = node.join())
    return fail(reason);

  guestbook::http_server http{node, db};
  if (auto reason = http.start(chosen.http))
    return fail(reason);
  fly::admin::server admin{node, rpc, db, {.listen = chosen.admin, .tree = &tree}};
  if (auto reason = chosen.admin.empty() ? caf::error{} : admin.start())
    return fail(reason);
  std::cerr << "guestbook: node " << node.self().id << " in " << node.my_region()
            << ", page at http://" << chosen.http << '\n';

  std::jthread tables{[&](const std::stop_token& ending) { prepare_tables(db, ending); }};
  fly::apps::wait_for_end([&] { // new certificates, as after a renewal
    auto reason = node.reload_tls();
    std::cerr << "guestbook: SIGHUP: " << (reason ? fly::to_string(reason) : "new files are taken")
              << '\n';
  });
  tables.request_stop();
  http.stop();  // the running requests are answered, with all that they need
  node.leave(); // refuses calls, ends the running ones, says goodbye
  tables.join();
  return EXIT_SUCCESS;
}

} // namespace

int main(int argc, char** argv) {
  fly::apps::hold_end_signals();
  settings chosen;
  int status = EXIT_SUCCESS;
  return parse(argc, argv, chosen, status) ? run(chosen) : status;
}
