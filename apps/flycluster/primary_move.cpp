#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <thread>

#include <sys/wait.h>

#include <nlohmann/json.hpp>

#include "apps/flycluster/primary.hpp"
#include "fly/actors/error.hpp"
#include "fly/repo/position.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::apps {

namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Holds the writes of the group until it ends.
class hold {
public:
  hold(const visit& here, std::vector<std::string> ids) : here_(here), ids_(std::move(ids)) {}

  ~hold() {
    for (const auto& id : ids_)
      rpc_member(here_.rpc.with({.timeout = here_.timeout}), id, repo::hold_writes,
                 std::int64_t{0});
  }

  hold(const hold&) = delete;
  hold& operator=(const hold&) = delete;

  /// Returns how far the log is once nothing of fly writes any more.
  caf::expected<repo::position> begin(milliseconds longest) const {
    std::optional<repo::position> last;
    for (const auto& id : ids_) {
      auto told = rpc_member(here_.rpc.with({.timeout = longest}), id, repo::hold_writes,
                             std::int64_t{longest.count()});
      if (!told)
        return std::move(told.error());
      auto where = repo::parse_position(told->position);
      if (!told->drained || !where)
        return make_error(errc::timeout, "the writes of " + id + " have not ended in time");
      if (!last || last->lsn < where->lsn)
        last = *where;
    }
    if (!last)
      return make_error(errc::no_primary, "nobody is primary");
    return *last;
  }

private:
  const visit& here_;
  std::vector<std::string> ids_;
};

void say(const visit& here, const std::string& what) {
  if (!here.json)
    std::cout << what << std::endl;
}

/// Picks who of the region follows the primary. Errors: errc::invalid_argument saying why nobody.
caf::expected<std::string> choose_target(const primary_picture& seen, const std::string& region) {
  const auto& now = seen.primary;
  if (now.group.empty())
    return make_error(errc::no_primary, "nobody is primary: there is nothing to move in order");
  if (!now.conflict.empty())
    return make_error(errc::invalid_argument,
                      "two databases are writable; flycluster primary names them");
  if (now.region == region)
    return make_error(errc::invalid_argument, region + " is the primary's region already");
  for (const auto& each : seen.members)
    if (each.region == region && each.role == "replica" && each.system == now.system)
      return each.id;
  return make_error(errc::invalid_argument,
                    "no member in " + region + " has a replica of the primary");
}

std::string shell_word(const std::string& text) {
  std::string result = "'";
  for (char each : text)
    result += each == '\'' ? std::string{"'\\''"} : std::string{each};
  return result + "'";
}

/// Runs the command. Errors: errc::function_failed with its exit code.
caf::error run_command(const move_options& how, const std::string& from) {
  auto text = "FLY_MOVE_FROM=" + shell_word(from) + " FLY_MOVE_TO=" + shell_word(how.region) +
              " sh -c " + shell_word(how.command);
  auto status = std::system(text.c_str()); // NOLINT: it is the operator's own command
  if (status == 0)
    return {};
  return make_error(errc::function_failed,
                    WIFEXITED(status)
                        ? "the command ended with exit code " + std::to_string(WEXITSTATUS(status))
                        : "the command was ended by a signal");
}

/// Waits until the region is primary on a higher timeline than before. Errors: errc::timeout.
caf::expected<rpc::primary_report> wait_for_new_primary(const visit& here, const std::string& asked,
                                                        const std::string& region,
                                                        std::uint32_t before,
                                                        clock::time_point deadline) {
  for (;;) {
    auto now = rpc_member(here.rpc.with({.timeout = here.timeout}), asked, rpc::primary);
    if (now && now->region == region && now->timeline > before && !now->group.empty())
      return now;
    if (clock::now() > deadline)
      return make_error(errc::timeout, region + " did not become primary in time");
    std::this_thread::sleep_for(milliseconds{20});
  }
}

milliseconds left_until(clock::time_point deadline) {
  auto left = std::chrono::duration_cast<milliseconds>(deadline - clock::now());
  return std::max(left, milliseconds{1});
}

/// What was moved, and how long writes were held.
struct moved {
  rpc::primary_report before;
  rpc::primary_report now;
  milliseconds held{0};
};

caf::expected<moved> move_primary(const visit& here, const move_options& how) {
  auto seen = look_at_primary(here);
  if (!seen)
    return std::move(seen.error());
  auto target = choose_target(*seen, how.region);
  if (!target)
    return std::move(target.error());
  moved result{.before = seen->primary, .now = {}};
  auto begun = clock::now();
  auto deadline = begun + how.hold;
  hold held{here, seen->primary.group};
  auto last = held.begin(how.hold);
  if (!last)
    return std::move(last.error());
  say(here,
      "writes are held; the log of " + result.before.region + " ends at " + to_string(last->lsn));
  auto there = rpc_member(here.rpc.with({.timeout = left_until(deadline)}), *target, repo::reach,
                          to_string(*last), std::int64_t{left_until(deadline).count()});
  if (!there)
    return std::move(there.error());
  say(here, how.region + " has it all");
  if (how.command.empty())
    say(here, "now make the database of " + how.region +
                  " primary (SELECT pg_promote()), and stop "
                  "the one of " +
                  result.before.region);
  else if (auto failed = run_command(how, result.before.region))
    return failed;
  auto now = wait_for_new_primary(here, *target, how.region, result.before.timeline, deadline);
  if (!now)
    return std::move(now.error());
  result.now = std::move(*now);
  result.held = std::chrono::duration_cast<milliseconds>(clock::now() - begun);
  return result;
}

} // namespace

int run_primary_move(const visit& here, const move_options& how) {
  auto done = move_primary(here, how);
  if (!done)
    return print_error(here.json, done.error());
  const auto& now = done->now;
  if (here.json) {
    std::cout << nlohmann::json{{"from", done->before.region},
                                {"to", now.region},
                                {"timeline", now.timeline},
                                {"held_ms", done->held.count()},
                                {"zombies", now.zombies}}
                     .dump(2)
              << '\n';
    return exit_done;
  }
  std::cout << now.region << " is primary on timeline " << now.timeline << "; writes were held for "
            << done->held.count() << " ms\n";
  for (const auto& id : now.zombies)
    std::cout << "the old database of " << id
              << " is still writable: stop it, or make it a replica (pg_rewind, pg_basebackup)\n";
  return exit_done;
}

} // namespace fly::apps
