// The cases write/N, read/N and visible/N.
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <pqxx/pqxx>

#include "fly/actors/error.hpp"
#include "fly/repo/exec.hpp"
#include "fly/repo/lsn.hpp"
#include "fly/repo/session.hpp"
#include "fly/repo/within.hpp"
#include "tests/bench/write_lab.hpp"
#include "tests/support/eventually.hpp"

namespace fly::bench {

namespace {

/// One connection for each caller, up before the clock runs. The server is done with all of them
/// when this ends: what that takes is not to be a part of the system that has the next turn.
class sessions_of_callers {
public:
  sessions_of_callers(const test::postgres_server& server, int callers) : server_(server) {
    for (int i = 0; i < callers; ++i)
      all_.push_back(std::make_unique<pqxx::connection>(server.url()));
  }

  ~sessions_of_callers() {
    std::string pids = "0";
    for (const auto& it : all_)
      pids += "," + std::to_string(it->backendpid());
    all_.clear();
    test::eventually([&] {
      return server_.sql("SELECT count(*) FROM pg_stat_activity WHERE pid IN (" + pids + ")") ==
             "0";
    });
  }

  sessions_of_callers(const sessions_of_callers&) = delete;
  sessions_of_callers& operator=(const sessions_of_callers&) = delete;

  pqxx::connection& operator[](int caller) { return *all_[static_cast<std::size_t>(caller)]; }

private:
  const test::postgres_server& server_;
  std::vector<std::unique_ptr<pqxx::connection>> all_;
};

template <class Outcome>
void count(const Outcome& outcome) {
  if (!outcome)
    ++failures();
}

repo::lsn lsn_of(const pqxx::result& rows) {
  return repo::lsn::parse(rows[0][0].c_str()).value_or(repo::lsn{});
}

/// Who waits for the replica, answered by one thread with one connection. `ask` says how far the
/// replica is; it may take its time. `always` also asks while nobody waits.
class shared_poller {
public:
  explicit shared_poller(std::function<repo::lsn()> ask, bool always = false)
      : ask_(std::move(ask)), always_(always), thread_([this] { run(); }) {}

  ~shared_poller() {
    {
      std::lock_guard guard{mutex_};
      ending_ = true;
    }
    came_.notify_all();
    thread_.join();
  }

  void wait_for(repo::lsn where) {
    waiter mine{where};
    std::unique_lock lock{mutex_};
    auto at = waiting_.insert(waiting_.end(), &mine);
    came_.notify_one();
    if (!mine.there.wait_for(lock, std::chrono::seconds{5}, [&] { return mine.over; })) {
      waiting_.erase(at);
      ++failures();
    }
  }

private:
  struct waiter {
    repo::lsn where;
    bool over = false;
    std::condition_variable there{};
  };

  void run() {
    std::unique_lock lock{mutex_};
    while (!ending_) {
      if (waiting_.empty() && !always_) {
        came_.wait(lock);
        continue;
      }
      lock.unlock();
      auto reached = ask_();
      lock.lock();
      for (auto it = waiting_.begin(); it != waiting_.end();) {
        if (reached < (*it)->where) {
          ++it;
          continue;
        }
        (*it)->over = true;
        (*it)->there.notify_one();
        it = waiting_.erase(it);
      }
    }
  }

  std::function<repo::lsn()> ask_;
  bool always_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::list<waiter*> waiting_; // guarded by mutex_
  bool ending_ = false;        // guarded by mutex_
  std::thread thread_;
};

/// As early as the servers allow: the commit tells its position in its own round trip, and one
/// poller asks the replica without a pause.
sample run_limit(lab& on, int callers, int calls) {
  sessions_of_callers sessions{on.primary(), callers};
  sessions_of_callers watcher{on.replica(), 1};
  prepare_replay_question(watcher[0]);
  pqxx::nontransaction asking{watcher[0]};
  shared_poller poller{[&] { return lsn_of(ask_replay(asking)); }};
  return run_callers(callers, calls, [&](int caller) {
    pqxx::nontransaction tx{sessions[caller]};
    tx.exec("BEGIN");
    repo::exec(tx, insert_order, on.item());
    poller.wait_for(lsn_of(tx.exec("COMMIT; SELECT pg_current_wal_flush_lsn()")));
  });
}

/// fly_postgres's way: the insert position after the commit, and a function on the replica that
/// looks, and sleeps for 50 ms where nothing has moved. One connection for all who wait, and it
/// asks for ever, as there.
constexpr auto watch_function = R"(
CREATE OR REPLACE FUNCTION watch_for_lsn_change(since pg_lsn) RETURNS pg_lsn AS $$
DECLARE
  reached pg_lsn;
  ends timestamptz := clock_timestamp() + interval '200 ms';
BEGIN
  LOOP
    reached := pg_last_wal_replay_lsn();
    IF reached > since OR clock_timestamp() > ends THEN
      RETURN reached;
    END IF;
    PERFORM pg_sleep(0.05);
  END LOOP;
END $$ LANGUAGE plpgsql)";

sample run_poll50(lab& on, int callers, int calls) {
  sessions_of_callers sessions{on.primary(), callers};
  sessions_of_callers watcher{on.replica(), 1};
  pqxx::nontransaction asking{watcher[0]};
  repo::lsn known;
  shared_poller poller{[&] {
                         known = lsn_of(repo::exec(
                             asking, "SELECT watch_for_lsn_change($1::pg_lsn)", to_string(known)));
                         return known;
                       },
                       true};
  return run_callers(callers, calls, [&](int caller) {
    auto& session = sessions[caller];
    {
      pqxx::work tx{session};
      repo::exec(tx, insert_order, on.item());
      tx.commit();
    }
    pqxx::nontransaction after{session};
    poller.wait_for(lsn_of(after.exec("SELECT pg_current_wal_insert_lsn()")));
  });
}

sample run_direct(lab& on, int callers, int calls) {
  sessions_of_callers sessions{on.primary(), callers};
  return run_callers(callers, calls, [&](int caller) {
    pqxx::work tx{sessions[caller]};
    repo::exec(tx, insert_order, on.item());
    tx.commit();
  });
}

int for_each(int calls, int callers) {
  return std::max(calls / callers, 2);
}

} // namespace

void write_round(lab& on, int callers, const amount& how, table& into) {
  auto name = "write/" + std::to_string(callers);
  auto calls = for_each(how.calls, callers);
  auto& db = on.far();
  auto function = [&](const repo::bound_database& with, const auto& what) {
    return run_callers(callers, calls, [&](int) { count(rpc_primary(with, what, on.item())); });
  };
  into.add(name, "libpqxx", run_direct(on, callers, calls));
  into.add(name, "fly", run_callers(callers, calls, [&](int) {
             count(db.with({.await = false}).insert(order{.item = on.item()}));
           }));
  into.add(name, "fly+key", run_callers(callers, calls, [&](int) {
             count(db.with({.await = false}).once().insert(order{.item = on.item()}));
           }));
  into.add(name, "fly+function", function(db, place_order));
  into.add(name, "fly+function+key", function(db.once(), place_order));
  into.add(name, "fly+leader", function(db, place_as_leader));
}

/// One row by its key, on the replica.
void read_round(lab& on, int callers, const amount& how, table& into) {
  auto name = "read/" + std::to_string(callers);
  auto calls = for_each(how.calls * 4, callers);
  auto placed = on.far().insert(order{.item = on.item()});
  if (!placed || !placed->visible()) {
    ++failures();
    return;
  }
  auto id = (*placed)->id;
  sessions_of_callers sessions{on.replica(), callers};
  into.add(name, "libpqxx", run_callers(callers, calls, [&](int caller) {
             pqxx::nontransaction tx{sessions[caller]};
             repo::exec(tx, "SELECT id, item FROM orders WHERE id = $1", id);
           }));
  auto fly = [&](const std::string& system, const repo::bound_database& db) {
    into.add(name, system, run_callers(callers, calls, [&](int) { count(db.get<order>(id)); }));
  };
  fly("fly", on.far());
  fly("fly+session", on.far().with({.session = repo::session{}}));
  into.add(name, "fly+function", run_callers(callers, calls, [&](int) {
             count(on.far().read(
                 [&](pqxx::transaction_base& tx) { return repo::within{tx}.get<order>(id); }));
           }));
}

void visible_round(lab& on, int callers, const amount& how, table& into) {
  auto name = "visible/" + std::to_string(callers);
  auto calls = for_each(how.calls, callers);
  into.add(name, "limit", run_limit(on, callers, calls));
  auto visible = [&](const std::string& system, const auto& write) {
    into.add(name, system, run_callers(callers, calls, [&](int) {
               auto placed = write();
               if (!placed || !placed->visible())
                 ++failures();
               else
                 into.add_parts(name + " " + system, placed->timing());
             }));
  };
  visible("fly", [&] { return on.far().insert(order{.item = on.item()}); });
  visible("fly+function", [&] { return rpc_and_wait(on.far(), place_order, on.item()); });
  on.primary().sql(watch_function);
  into.add(name, "poll50", run_poll50(on, callers, for_each(how.slow_calls, callers)));
}

} // namespace fly::bench
