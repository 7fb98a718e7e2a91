// Users that move between regions at each request, with nothing but a cookie, while the replicas
// are late: none may read less than it wrote, or than it has read before.
#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "apps/local/postgres_process.hpp"
#include "fly/actors/error.hpp"
#include "fly/repo/session_cookie.hpp"
#include "tests/faults/faults.hpp"

namespace fly::faults {

namespace {

constexpr std::size_t users = 48;
constexpr int replay_pause_max_ms = 2000;

/// syd with the primary, lax and ams with a replica each, in this process.
class regions {
public:
  regions() : servers(2), port_(local::free_port()) {
    servers.primary().sql("CREATE TABLE notes (who bigint PRIMARY KEY, n bigint);"
                          "CREATE TABLE hands (n bigint); INSERT INTO hands VALUES (0);"
                          "INSERT INTO notes SELECT i, 0 FROM generate_series(0, 999) AS i;"
                          "ALTER TABLE notes OWNER TO app; ALTER TABLE hands OWNER TO app");
    servers.wait_caught_up();
    start(0, "syd", servers.primary());
    start(1, "lax", servers.replica(0));
    start(2, "ams", servers.replica(1));
    bool met = eventually(
        [this] {
          return std::all_of(nodes.begin(), nodes.end(), [](const auto& it) {
            auto views = it->node.views();
            return it->node.primary_group().size() == 1 && views.size() == 3 &&
                   std::all_of(views.begin(), views.end(), [](const auto& view) {
                     return view.database.role >= cluster::claim::role::replica &&
                            (view.linked || view.state == cluster::presence::self) &&
                            !view.services.empty();
                   });
          });
        },
        30s);
    if (!met)
      throw std::runtime_error{"the three nodes did not find each other"};
  }

  local::postgres servers;
  std::array<std::unique_ptr<caller_node>, 3> nodes;

private:
  void start(int index, const char* region, local::postgres_server& server) {
    cluster::options where;
    where.region = region;
    where.primary_region = "syd";
    where.app = "moving";
    where.machine_id = std::string{region} + "-1";
    where.listen = "127.0.0." + std::to_string(21 + index);
    where.port = port_;
    where.peers = {"127.0.0.21", "127.0.0.22", "127.0.0.23"};
    where.secret = "correct horse battery staple";
    where.log = [](cluster::log_level, std::string_view) {};
    repo::options database;
    database.database_url = server.url();
    database.connections_max = 16;
    database.connect_timeout = 15s; // 48 are opened at once, on a machine that may be busy
    auto& node = nodes[static_cast<std::size_t>(index)];
    node = std::make_unique<caller_node>(std::move(where), std::move(database));
    if (auto reason = node->node.join())
      throw std::runtime_error{fly::to_string(reason)};
  }

  std::uint16_t port_;
};

/// What the checker has counted. Safe from any thread.
struct findings {
  std::atomic<std::size_t> begun = 0;
  std::atomic<std::size_t> reads = 0;
  std::atomic<std::size_t> elsewhere = 0; // reads that another region answered
  std::atomic<std::size_t> stale = 0;     // less than the user's own last write
  std::atomic<std::size_t> back = 0;      // less than the user has read before
  std::mutex mutex;
  std::vector<std::string> failed; // guarded by mutex

  void say(const caf::error& reason) {
    std::lock_guard guard{mutex};
    if (failed.size() < 10)
      failed.push_back(fly::to_string(reason));
  }
};

/// One user and their browser: all that goes from request to request is the cookie.
class moving_user {
public:
  moving_user(regions& in, findings& found, std::int64_t number, unsigned seed, bool has_cookies)
      : in_(in), found_(found), number_(number), random_(seed), has_cookies_(has_cookies) {}

  void request() {
    auto& there = *in_.nodes[random_() % in_.nodes.size()];
    repo::session_cookie cookie{there.db.tokens()};
    auto [session, problem] = cookie.read(jar_);
    if (problem)
      found_.say(problem);
    repo::call_options options{.timeout = 20s};
    if (has_cookies_)
      options.session = session;
    if (random_() % 2 == 0)
      write(there, options);
    else
      read(there, options);
    auto header = cookie.write(session);
    jar_ = header.substr(0, header.find(';'));
  }

private:
  void write(const caller_node& there, repo::call_options options) {
    options.await = false; // so that the wait, if any, is the reader's
    auto done = there.db.with(options).execute("UPDATE notes SET n = $1 WHERE who = $2",
                                               written_ + 1, number_);
    if (!done)
      return found_.say(done.error());
    ++written_;
  }

  void read(const caller_node& there, repo::call_options options) {
    repo::read_report report;
    options.report = &report;
    options.otherwise = static_cast<repo::otherwise>(random_() % 3);
    options.patience = milliseconds{random_() % 100};
    auto rows = there.db.with(options).query(
        "SELECT n, (SELECT n FROM hands) FROM notes WHERE who = $1", number_);
    ++found_.reads;
    if (!rows)
      return found_.say(rows.error());
    auto own = *rows->get<std::int64_t>(0, 0);
    auto hand = *rows->get<std::int64_t>(0, 1);
    found_.elsewhere += report.region != there.node.my_region() ? 1 : 0;
    found_.stale += own < written_ ? 1 : 0;
    found_.back += own < own_ || hand < hand_ ? 1 : 0;
    own_ = std::max(own_, own);
    hand_ = std::max(hand_, hand);
  }

  regions& in_;
  findings& found_;
  std::int64_t number_;
  std::minstd_rand random_;
  bool has_cookies_;
  std::string jar_{};
  std::int64_t written_ = 0;
  std::int64_t own_ = 0;
  std::int64_t hand_ = 0; // of what everybody sees
};

/// Lets one replica be late by up to two seconds, again and again, until `ended`.
void delay(local::postgres_server& replica, unsigned seed, const std::atomic<bool>& ended) {
  std::minstd_rand random{seed};
  while (!ended) {
    replica.pause_replay();
    std::this_thread::sleep_for(milliseconds{random() % replay_pause_max_ms});
    replica.resume_replay();
    std::this_thread::sleep_for(milliseconds{random() % 300});
  }
}

/// Moves what everybody sees, until `ended`.
void turn_hands(const local::postgres_server& primary, const std::atomic<bool>& ended) {
  while (!ended) {
    primary.sql("UPDATE hands SET n = n + 1");
    std::this_thread::sleep_for(5ms);
  }
}

/// Makes the requests of all users.
void run(regions& in, findings& found, std::size_t requests, unsigned seed, bool has_cookies) {
  std::atomic<bool> ended = false;
  std::vector<std::thread> around;
  for (std::size_t i : {0, 1})
    around.emplace_back([&, i] { delay(in.servers.replica(i), seed + unsigned(i) + 1, ended); });
  around.emplace_back([&] { turn_hands(in.servers.primary(), ended); });
  std::vector<std::thread> all;
  for (std::size_t i = 0; i < users; ++i)
    all.emplace_back([&, i] {
      auto number = static_cast<std::int64_t>(i + (has_cookies ? 0 : users));
      moving_user user{in, found, number, seed + 7919 * unsigned(i + 1), has_cookies};
      while (found.begun++ < requests)
        user.request();
    });
  for (auto& each : all)
    each.join();
  ended = true;
  for (auto& each : around)
    each.join();
}

std::string text_of(const findings& found, const char* what) {
  return std::string{what} + ": " + std::to_string(found.reads) + " reads (" +
         std::to_string(found.elsewhere) + " answered by another region), " +
         std::to_string(found.stale) + " older than the user's last write, " +
         std::to_string(found.back) + " going back in time";
}

} // namespace

row moving(std::size_t requests, unsigned seed) {
  row result{"a user who moves"};
  regions in;
  auto begin = clock::now();
  findings with;
  run(in, with, requests, seed, true);
  auto took = since(begin);
  for (const auto& each : with.failed)
    result.expect(false, each);
  result.expect(with.stale == 0, text_of(with, "with the cookie"));
  result.expect(with.back == 0, text_of(with, "with the cookie"));
  result.expect(with.reads > requests / 3, "there were reads");

  // The checker itself: without the cookie it must find what the cookie prevents.
  findings without;
  run(in, without, std::min<std::size_t>(requests, 1000), seed, false);
  for (const auto& each : without.failed)
    result.expect(false, each);
  result.expect(without.stale > 0, text_of(without, "without the cookie"));
  result.expect(without.back > 0, text_of(without, "without the cookie"));
  result.note = std::to_string(requests) + " requests by " + std::to_string(users) +
                " users over 3 regions, replicas up to 2 s late, " +
                std::to_string(took.count() / 1000) + " s. " + text_of(with, "With the cookie") +
                ". " + text_of(without, "Without it");
  return result;
}

} // namespace fly::faults
