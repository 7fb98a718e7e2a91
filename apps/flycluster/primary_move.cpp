#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <thread>

#include <sys/wait.h>

#include <nlohmann/json.hpp>

#include "apps/flycluster/primary.hpp"
#include "apps/flycluster/primary_hold.hpp"
#include "fly/actors/error.hpp"
#include "fly/repo/position.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::apps {

namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

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

milliseconds left_until(clock::time_point deadline) {
  auto left = std::chrono::duration_cast<milliseconds>(deadline - clock::now());
  return std::max(left, milliseconds{1});
}

/// What was moved, and how long writes were held.
struct moved {
  rpc::primary_report before;
  rpc::primary_report now;
  milliseconds held{0};
  /// Why something may be lost after all; empty where nothing is.
  caf::error broken{};
};

/// One move. Writes are held while it is there.
class move {
public:
  move(const visit& here, const move_options& how, rpc::primary_report before, std::string target)
      : here_(here), how_(how),
        target_(std::move(target)), result_{.before = std::move(before), .now = {}},
        hold_(here, result_.before, target_, how.hold) {}

  caf::expected<moved> run() {
    if (auto reason = catch_up()) {
      hold_.let_go();
      return reason;
    }
    hold_.keep();
    auto reason = promote();
    result_.broken = hold_.stop();
    if (reason && !wait(clock::now() + std::min(how_.hold, milliseconds{2000})))
      hold_.let_go(); // else it is done all the same, and nothing more is to be written there
    if (reason)
      return reason;
    // The old group's hold is left to run out: not all of it need have heard of the new one.
    for (const auto& id : result_.now.group)
      rpc_member(here_.rpc.with({.timeout = here_.timeout}), id, repo::hold_writes, std::int64_t{0},
                 std::uint32_t{0});
    result_.held = std::chrono::duration_cast<milliseconds>(clock::now() - begun_);
    return std::move(result_);
  }

private:
  /// Lets nothing more be written, and the target have all that was.
  caf::error catch_up() {
    auto last = hold_.begin();
    if (!last)
      return std::move(last.error());
    say(here_,
        "writes are held; the log of " + result_.before.region + " ends at " + to_string(*last));
    auto longest = left_until(begun_ + how_.hold);
    auto there = rpc_member(here_.rpc.with({.timeout = longest}), target_, repo::reach,
                            to_string(*last), std::int64_t{longest.count()});
    if (!there)
      return std::move(there.error());
    say(here_, how_.region + " has it all");
    return hold_.renew();
  }

  /// Lets the command make the target primary, or waits for somebody else to do it.
  caf::error promote() {
    auto deadline = begun_ + how_.hold;
    if (how_.command.empty()) {
      say(here_, "now make the database of " + how_.region +
                     " primary (SELECT pg_promote()), and stop the one of " +
                     result_.before.region);
    } else {
      if (auto failed = run_command(how_, result_.before.region))
        return failed;
      deadline = std::max(deadline, clock::now() + how_.hold); // however long the command took
    }
    auto now = wait(deadline);
    if (!now)
      return std::move(now.error());
    result_.now = std::move(*now);
    return {};
  }

  /// Waits until the region is primary on a higher timeline than before. Errors: errc::timeout.
  caf::expected<rpc::primary_report> wait(clock::time_point deadline) const {
    for (;;) {
      auto now = rpc_member(here_.rpc.with({.timeout = here_.timeout}), target_, rpc::primary);
      if (now && now->region == how_.region && now->timeline > result_.before.timeline &&
          !now->group.empty())
        return now;
      if (clock::now() > deadline)
        return make_error(errc::timeout, how_.region + " did not become primary in time");
      std::this_thread::sleep_for(milliseconds{20});
    }
  }

  const visit& here_;
  const move_options& how_;
  const std::string target_;
  const clock::time_point begun_ = clock::now();
  moved result_;
  primary_hold hold_;
};

caf::expected<moved> move_primary(const visit& here, const move_options& how) {
  auto seen = look_at_primary(here);
  if (!seen)
    return std::move(seen.error());
  auto target = choose_target(*seen, how.region);
  if (!target)
    return std::move(target.error());
  return move{here, how, std::move(seen->primary), std::move(*target)}.run();
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
                                {"zombies", now.zombies},
                                {"may_be_lost", text_of(done->broken)}}
                     .dump(2)
              << '\n';
    return exit_done;
  }
  std::cout << now.region << " is primary on timeline " << now.timeline << "; writes were held for "
            << done->held.count() << " ms\n";
  if (done->broken)
    std::cout << text_of(done->broken) << '\n';
  for (const auto& id : now.zombies)
    std::cout << "the old database of " << id
              << " is still writable: stop it, or make it a replica (pg_rewind, pg_basebackup)\n";
  return exit_done;
}

} // namespace fly::apps
