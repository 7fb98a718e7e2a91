// judged FILE: records a write that was acknowledged and is lost, and says what the checker finds.
#include <fstream>
#include <iostream>

#include <fly/testing/checker.hpp>
#include <fly/testing/outage.hpp>
#include <fly/testing/print.hpp>
#include <fly/testing/recorder.hpp>

using fly::testing::action;
using fly::testing::phase;

int main(int, char** argv) {
  {
    fly::testing::recorder record{argv[1], "lax"};
    auto put = record.begin({.action = action::write, .key = "cart", .value = "pen"});
    record.end(put, caf::error{});
    record.note({.phase = phase::ok, .action = action::last, .key = "cart"});
  }
  fly::testing::history all;
  std::ifstream from{argv[1]};
  if (fly::testing::read_history(from, all))
    return 2;
  auto report = fly::testing::check(all);
  fly::testing::print(std::cout, all, report);
  return report.flaws[fly::testing::flaw::lost_write] == 1 ? 0 : 1;
}
