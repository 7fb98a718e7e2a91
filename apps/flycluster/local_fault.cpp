#include "apps/flycluster/local_fault.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iostream>

#include "apps/flycluster/commands.hpp"
#include "fly/testing/recorder.hpp"

namespace fly::apps {

namespace {

using local::playground_part;

const playground_part* find_part(const local::playground_state& state, const local_fault& asked) {
  auto is_meant = [&](const playground_part& it) {
    bool database = it.what == "primary" || it.what == "replica";
    return (asked.part == "database" ? database : it.what == asked.part) &&
           it.region == asked.region;
  };
  auto found = std::find_if(state.parts.begin(), state.parts.end(), is_meant);
  return found == state.parts.end() ? nullptr : &*found;
}

/// Adds a line to the history. Returns whether it could.
bool note(const local_fault& what, testing::phase when) {
  if (what.record.empty())
    return true;
  std::ofstream to{what.record, std::ios::app};
  to << testing::to_line(
            {.phase = when,
             .action = testing::action::fault,
             .process = what.part == "node" ? what.region : what.part + "-" + what.region,
             .time = testing::now(),
             .key = what.kind + "-" + what.part})
     << '\n';
  return static_cast<bool>(to.flush());
}

int fail(const std::string& text) {
  std::cerr << "flycluster local: " << text << '\n';
  return exit_failed;
}

/// Waits, or until a signal that ends the program; it is held (local.cpp).
void wait(std::chrono::milliseconds how_long) {
  sigset_t ends;
  sigemptyset(&ends);
  for (int number : {SIGINT, SIGTERM, SIGHUP})
    sigaddset(&ends, number);
  timespec time{.tv_sec = how_long.count() / 1000, .tv_nsec = how_long.count() % 1000 * 1'000'000};
  sigtimedwait(&ends, nullptr, &time);
}

} // namespace

int run_fault(const local::playground_state& state, const local_request& asked) {
  const auto& fault = asked.fault;
  auto name = fault.part + (fault.region.empty() ? "" : " of " + fault.region);
  const auto* part = find_part(state, fault);
  if (part == nullptr)
    return fail("there is no " + name);
  if (!note(fault, testing::phase::invoke))
    return fail("cannot write " + fault.record.string());
  bool freezes = fault.kind == "freeze";
  if (!local::signal_with_children(part->mark, freezes ? SIGSTOP : SIGKILL))
    return fail("the " + name + " does not run");
  if (freezes) {
    wait(fault.lasts);
    local::signal_with_children(part->mark, SIGCONT);
  }
  note(fault, testing::phase::ok);
  std::cout << "the " << name
            << (freezes ? " was frozen for " + std::to_string(fault.lasts.count()) + " ms"
                        : std::string{" is killed"})
            << '\n';
  return exit_done;
}

} // namespace fly::apps
