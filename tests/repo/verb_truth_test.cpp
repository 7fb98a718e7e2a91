// Proves that what the verbs tell is true while sessions are ended under them, and while the server
// restarts and crashes: a row that was acknowledged is there once, one of which nothing remains is
// not there.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/repo/database.hpp"
#include "tests/repo/far_shops.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace truth {

struct note {
  std::int64_t id = 0;
  std::string text;
};

} // namespace truth

FLY_RECORD(truth::note, "notes", key(id), column(text));

namespace {

/// What callers were told of each text: 1 it is there, 0 it is not, -1 nobody knows.
class ledger_of_callers {
public:
  void tell(const std::string& text, const caf::expected<repo::committed<truth::note>>& outcome) {
    std::lock_guard guard{mutex_};
    if (outcome)
      told_[text] = 1;
    else
      told_[text] = effect_of(outcome.error()) == effect::unknown ? -1 : 0;
    reasons_[text] = outcome ? "" : fly::to_string(outcome.error());
  }

  std::size_t count(int what) {
    std::lock_guard guard{mutex_};
    std::size_t result = 0;
    for (const auto& [text, told] : told_)
      result += told == what ? 1U : 0U;
    return result;
  }

  /// Why nobody knows what became of some.
  std::string doubts() {
    std::lock_guard guard{mutex_};
    std::string result;
    for (const auto& [text, told] : told_)
      result += told == -1 ? text + ": " + reasons_[text] + "\n" : "";
    return result;
  }

  void compare(const std::map<std::string, int>& rows) const {
    for (const auto& each : told_) {
      auto found = rows.find(each.first);
      auto there = found == rows.end() ? 0 : found->second;
      CAPTURE(each.first);
      CAPTURE(reasons_.at(each.first));
      if (each.second < 0)
        CHECK(there <= 1);
      else
        CHECK(there == each.second);
    }
  }

private:
  std::mutex mutex_;
  std::map<std::string, int> told_;            // guarded by mutex_ while callers run
  std::map<std::string, std::string> reasons_; // guarded by mutex_ while callers run
};

struct notes : far_shops {
  notes() {
    servers.primary().sql("CREATE TABLE notes (id bigserial PRIMARY KEY, text text NOT NULL);"
                          "GRANT ALL ON notes TO app; GRANT ALL ON SEQUENCE notes_id_seq TO app");
    servers.wait_caught_up();
  }

  void insert_while(const std::function<void()>& faults, bool once = false) {
    std::atomic<bool> ending{false};
    repo::call_options how{.timeout = once ? 20s : 3s, .await = false};
    auto db = once ? lax.db->with(how).once() : lax.db->with(how);
    std::vector<std::thread> callers;
    for (int t = 0; t < 4; ++t)
      callers.emplace_back([&, t] {
        for (int i = 0; !ending; ++i) {
          auto text = std::to_string(t) + "/" + std::to_string(i);
          told.tell(text, db.insert(truth::note{.text = text}));
        }
      });
    faults();
    ending = true;
    for (auto& thread : callers)
      thread.join();
  }

  /// Waits until inserts succeed again.
  void goes_on() {
    auto before = told.count(1);
    CHECK(eventually([&] { return told.count(1) > before + 200; }));
  }

  std::map<std::string, int> rows() {
    std::map<std::string, int> result;
    pqxx::connection admin{servers.primary().url()};
    pqxx::nontransaction tx{admin};
    for (const auto& row : tx.exec("SELECT text, count(*) FROM notes GROUP BY text"))
      result.emplace(row[0].c_str(), row[1].as<int>());
    return result;
  }

  ledger_of_callers told;
};

} // namespace

TEST_CASE_FIXTURE(notes, "verbs tell the truth while their sessions are ended") {
  insert_while([&] {
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(50ms);
      servers.primary().sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename "
                            "= 'app'");
    }
  });
  told.compare(rows());
  CHECK(told.count(1) > 100);
}

TEST_CASE_FIXTURE(notes, "verbs tell the truth while their server restarts and crashes") {
  insert_while([&] {
    std::this_thread::sleep_for(300ms);
    servers.primary().stop();
    servers.primary().start();
    goes_on();
    servers.primary().restart(); // without a word to anybody
    goes_on();
  });
  told.compare(rows());
  CHECK(told.count(1) > 100);
}

TEST_CASE_FIXTURE(notes, "verbs with keys know what became of them while sessions are ended") {
  insert_while(
      [&] {
        for (int i = 0; i < 20; ++i) {
          std::this_thread::sleep_for(50ms);
          servers.primary().sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                                "usename = 'app'");
        }
      },
      true);
  told.compare(rows());
  CHECK(told.count(1) > 100);
  CHECK_MESSAGE(told.count(-1) == 0, told.doubts());
}
