// The cases waiters/N, and what an idle node takes.
#include <fstream>
#include <future>
#include <stdexcept>
#include <thread>

#include <pqxx/pqxx>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "fly/actors/error.hpp"
#include "fly/repo/lsn.hpp"
#include "tests/bench/write_lab.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres_process.hpp"

namespace fly::bench {

using namespace std::chrono_literals;

namespace {

/// Counts who is awake; the last one says when.
class awake_count {
public:
  explicit awake_count(int all) : left_(all) {}

  void one() {
    if (--left_ == 0)
      last_.set_value(clock::now());
  }

  clock::time_point wait() {
    auto when = last_.get_future();
    if (when.wait_for(10s) != std::future_status::ready)
      throw std::runtime_error{"not all who wait were woken within 10 s"};
    return when.get();
  }

private:
  std::atomic<int> left_;
  std::promise<clock::time_point> last_;
};

/// Asks the replica without a pause until it has replayed `where`. Returns when the question left
/// that was answered "yes": replay was no later than its answer, and no earlier than the question
/// before.
clock::time_point watch_replay(pqxx::connection& replica, repo::lsn where) {
  pqxx::nontransaction asking{replica};
  for (;;) {
    auto at = clock::now();
    auto rows = ask_replay(asking);
    if (repo::lsn::parse(rows[0][0].c_str()).value_or(repo::lsn{}) >= where)
      return at;
  }
}

struct paused_write {
  explicit paused_write(lab& on) : server(on.replica()) {
    server.pause_replay();
    auto placed = rpc_primary(on.far(), place_order, on.item());
    if (!placed)
      throw std::runtime_error{fly::to_string(placed.error())};
    where = placed->position();
  }

  test::postgres_server& server;
  repo::position where;
};

/// The tight poller itself tells as many actors, by a plain message each: as fast as CAF is.
double time_limit(lab& on, pqxx::connection& replica, int waiters) {
  paused_write what{on};
  awake_count awake{waiters};
  auto& system = on.far_node().system();
  std::vector<caf::actor> actors;
  for (int i = 0; i < waiters; ++i)
    actors.push_back(system.spawn([&awake](caf::event_based_actor* self) -> caf::behavior {
      return {[self, &awake](caf::ok_atom) {
        awake.one();
        self->quit();
      }};
    }));
  what.server.resume_replay();
  auto replayed = watch_replay(replica, what.where.lsn);
  for (auto& it : actors)
    caf::anon_send(it, caf::ok_atom::value);
  return microseconds{awake.wait() - replayed}.count();
}

/// As many wait by `database::wait_for`, each as `begin` has it.
template <class Begin>
double time_waits(lab& on, pqxx::connection& replica, int waiters, Begin begin) {
  paused_write what{on};
  awake_count awake{waiters};
  for (int i = 0; i < waiters; ++i)
    begin(what.where, awake);
  if (!test::eventually(
          [&] { return on.far().counts().waiters == static_cast<std::size_t>(waiters); }))
    throw std::runtime_error{"not all of them wait"};
  what.server.resume_replay();
  auto replayed = watch_replay(replica, what.where.lsn);
  return microseconds{awake.wait() - replayed}.count();
}

double time_actors(lab& on, pqxx::connection& replica, int waiters) {
  return time_waits(on, replica, waiters, [&](const repo::position& where, awake_count& awake) {
    on.far_node().system().spawn([&](caf::event_based_actor* self) {
      on.far()
          .wait_for(self, where, 20s)
          .then([&awake] { awake.one(); },
                [&awake](caf::error&) {
                  ++failures();
                  awake.one();
                });
    });
  });
}

double time_callbacks(lab& on, pqxx::connection& replica, int waiters) {
  return time_waits(on, replica, waiters, [&](const repo::position& where, awake_count& awake) {
    on.far().wait_for(where, 20s, [&awake](const caf::error& late) {
      if (late)
        ++failures();
      awake.one();
    });
  });
}

double seconds_on_cpu(pid_t pid) {
  double ns = 0;
  for (const auto& thread :
       std::filesystem::directory_iterator{"/proc/" + std::to_string(pid) + "/task"}) {
    double mine = 0;
    std::ifstream{thread.path() / "schedstat"} >> mine;
    ns += mine;
  }
  return ns / 1e9;
}

double resident_mib(pid_t pid) {
  std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
  for (std::string word; status >> word;)
    if (word == "VmRSS:") {
      double kib = 0;
      status >> kib;
      return kib / 1024;
    }
  return 0;
}

/// Transactions in database app but for those that open a session; asked from another database.
double transactions(const test::postgres_server& server) {
  auto url = server.url("postgres");
  url.replace(url.rfind("/app"), 4, "/postgres");
  pqxx::connection link{url};
  pqxx::nontransaction tx{link};
  return tx
      .exec("SELECT xact_commit + xact_rollback - sessions FROM pg_stat_database WHERE datname = "
            "'app'")[0][0]
      .as<double>();
}

} // namespace

void waiters_round(lab& on, int waiters, const amount& how, table& into) {
  auto name = "waiters/" + std::to_string(waiters);
  pqxx::connection replica{on.replica().url()};
  prepare_replay_question(replica);
  std::vector<double> limit;
  std::vector<double> actors;
  std::vector<double> callbacks;
  for (int i = 0; i < how.waits; ++i) {
    limit.push_back(time_limit(on, replica, waiters));
    actors.push_back(time_actors(on, replica, waiters));
    callbacks.push_back(time_callbacks(on, replica, waiters));
  }
  into.add(name, "limit", of_times(limit));
  into.add(name, "fly", of_times(callbacks));
  into.add(name, "fly+actor", of_times(actors));
}

idle_figures measure_idle(lab& on, std::chrono::seconds longest) {
  // A replica of its own would do as well; this one has the far node of this process beside it,
  // whose queries are counted first.
  std::this_thread::sleep_for(1500ms);
  auto window = [&](pid_t pid) {
    auto begun = clock::now();
    auto queries = transactions(on.replica());
    auto cpu = pid > 0 ? seconds_on_cpu(pid) : 0;
    std::this_thread::sleep_for(longest);
    std::chrono::duration<double> passed = clock::now() - begun;
    return idle_figures{(transactions(on.replica()) - queries) / passed.count(),
                        pid > 0 ? (seconds_on_cpu(pid) - cpu) / passed.count() * 100 : 0,
                        pid > 0 ? resident_mib(pid) : 0};
  };
  auto without = window(0);
  other_process idle{"ams",          "127.0.0.4",        test::free_port(),
                     on.addresses(), on.replica().url(), on.folder()};
  bool joined = test::eventually([&] { return on.far_node().members().size() == 3; });
  if (!joined)
    throw std::runtime_error{"the idle node does not join"};
  std::this_thread::sleep_for(3s); // what a start needs is over
  auto with = window(idle.pid());
  with.queries_per_s -= without.queries_per_s;
  return with;
}

} // namespace fly::bench
