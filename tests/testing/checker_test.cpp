// Each flaw that the checker knows: a history without it is clean, the same one with it is not, and
// the evidence is the least that shows it.
#include <doctest/doctest.h>

#include "tests/testing/story.hpp"

using namespace fly::testing;
using namespace std::chrono_literals;

namespace {

/// Expects one flaw, and returns its finding.
finding only(const check_report& report, flaw what) {
  REQUIRE(report.findings.size() == 1);
  CHECK(report.flaws.size() == 1);
  CHECK(to_string(report.findings.front().what) == to_string(what));
  return report.findings.front();
}

} // namespace

TEST_CASE("a history in which all went well is clean, and is counted") {
  story it;
  it.write("1", {.session = "u"}).write("2", {}, phase::unknown).write("3", {}, phase::fail);
  it.read("u", {"1"}).read("", {}).read("u", {"1", "2"}).last({"1", "2"});

  auto report = it.check();

  CHECK(report.is_clean());
  CHECK(report.operations["write ok"] == 1);
  CHECK(report.operations["write unknown"] == 1);
  CHECK(report.operations["write fail"] == 1);
  CHECK(report.operations["read ok"] == 3);
  CHECK(check({}).is_clean());
}

TEST_CASE("an acknowledged write that is not there at the end is lost") {
  story it;
  it.write("1", {.position = "7.1.0/100"}).write("2", {}, phase::unknown).last({});

  auto found = only(it.check(), flaw::lost_write);

  CHECK(found.text == "acknowledged and lost: '1' in a");
  REQUIRE(found.evidence.size() == 3);
  CHECK(found.evidence[1].phase == phase::ok);
  CHECK(found.evidence[2].action == action::last);
}

TEST_CASE("a list that nobody reads at the end says nothing of its writes") {
  story it;
  it.write("1");

  auto report = it.check();

  CHECK(report.is_clean());
  CHECK(report.keys_without_last == 1);
}

TEST_CASE("what a promotion has cut off is counted apart, what it has not is lost") {
  auto told = [](const std::string& position) {
    story it;
    it.write("1", {.position = position});
    it.add({.action = action::cut, .value = "0/100", .number = 2, .bound = 1});
    it.last({}, "7.2.0/500");
    return it.check();
  };

  auto beyond = told("7.1.0/101");
  CHECK(beyond.is_clean());
  CHECK(beyond.lost_past_switch == 1);
  only(told("7.1.0/100"), flaw::lost_write);
  only(told("7.2.0/101"), flaw::lost_write);
  only(told(""), flaw::lost_write);
}

TEST_CASE("a write that is there twice is doubled, with its key or without") {
  story keyed;
  keyed.write("1", {.once = "k"}, phase::unknown).write("1", {.once = "k"}).last({"1", "1"});
  story plain;
  plain.write("1").last({"1", "1"});
  story repeated;
  repeated.write("1", {.once = "k"}).write("1", {.once = "k"}).last({"1"});

  CHECK(only(keyed.check(), flaw::doubled_key).evidence.size() == 5);
  only(plain.check(), flaw::doubled);
  CHECK(repeated.check().is_clean());
}

TEST_CASE("a write that failed for all its callers must not be there") {
  story it;
  it.write("1", {}, phase::fail).last({"1"});
  story once;
  once.write("1", {.once = "k"}, phase::fail).write("1", {.once = "k"}, phase::unknown).last({"1"});

  only(it.check(), flaw::done_yet_failed);
  CHECK(once.check().is_clean());
}

TEST_CASE("what nobody wrote must not be there") {
  story it;
  it.last({"1"});

  only(it.check(), flaw::never_written);
}

TEST_CASE("a session must read what it has written, and another one need not") {
  story stale;
  stale.write("1", {.session = "u"}).read("u", {});
  story other;
  other.write("1", {.session = "u"}).read("v", {}).read("", {});
  story beside; // the read began before the write had ended
  auto write = beside.begin({.action = action::write, .key = "a", .value = "1", .session = "u"});
  auto read = beside.begin({.action = action::read, .key = "a", .session = "u"});
  beside.end(write);
  beside.end(read);

  auto found = only(stale.check(), flaw::stale_read);
  CHECK(found.evidence.front().value == "1");
  CHECK(found.evidence.size() == 2);
  CHECK(other.check().is_clean());
  CHECK(beside.check().is_clean());
}

TEST_CASE("a session must not read less than it has read") {
  story it;
  it.write("1").read("u", {"1"}).read("u", {});
  story other;
  other.write("1").read("u", {"1"}).read("v", {});

  only(it.check(), flaw::read_went_back);
  CHECK(other.check().is_clean());
}

TEST_CASE("a leader's write that is committed under a later epoch is of a deposed leader") {
  story it;
  it.add({.phase = phase::ok, .action = action::turn, .value = "1", .epoch = 3, .fence = 3});
  CHECK(it.check().is_clean());

  it.add({.phase = phase::ok, .action = action::turn, .value = "2", .epoch = 3, .fence = 4});

  only(it.check(), flaw::deposed_leader);
}

TEST_CASE("a database that was left may acknowledge until it can have heard of that") {
  auto told = [](std::chrono::milliseconds later, bool deaf) {
    story it;
    it.write("1", {.position = "7.2.0/200"});
    if (deaf)
      it.fault(phase::invoke, "cut-both", "syd");
    it.wait(later);
    if (deaf)
      it.fault(phase::ok, "cut-both", "syd");
    it.write("2", {.position = "7.1.0/200"});
    return it.check();
  };

  CHECK(told(2900ms, false).is_clean());
  CHECK(told(9s, true).is_clean());
  CHECK(only(told(3100ms, false), flaw::deposed_primary).evidence.size() == 3);
}

TEST_CASE("a call ends by its deadline, but for the time in which its process was frozen") {
  auto told = [](std::chrono::milliseconds takes, const std::string& frozen) {
    story it;
    auto begun = it.begin({.action = action::call, .deadline = 1s}); // of lax-1/1
    if (!frozen.empty())
      it.fault(phase::invoke, "freeze-node", frozen);
    it.wait(takes);
    if (!frozen.empty())
      it.fault(phase::ok, "freeze-node", frozen);
    it.end(begun, phase::unknown);
    return it.check({.deadline_slack = 100ms});
  };

  CHECK(told(1099ms, "").is_clean());
  only(told(1101ms, ""), flaw::past_deadline);
  for (const auto* its_own : {"lax-1/1", "lax-1", "lax"})
    CHECK(told(5s, its_own).is_clean());
  for (const auto* of_another : {"lax-1/2", "lax-2", "la", "syd", "database-lax"})
    only(told(5s, of_another), flaw::past_deadline);
}

TEST_CASE("a call without an end is stuck where its process ended in order") {
  story killed;
  killed.begin({.action = action::read, .key = "a"});
  auto ended = killed;
  ended.add({.phase = phase::ok, .action = action::life, .process = "lax-1/1"});

  CHECK(killed.check().is_clean());
  CHECK(killed.check().operations["read open"] == 1);
  only(ended.check(), flaw::stuck_call);
}

TEST_CASE("a wait until the deadline for what was read there long before is stuck") {
  auto told = [](bool visible, std::chrono::milliseconds after) {
    story it;
    auto begun = it.begin({.action = action::write, .deadline = 1s, .key = "a", .value = "1"});
    it.wait(999ms - after).read("", {"1"}).wait(after);
    begun.visible = visible;
    it.end(begun);
    return it.check();
  };

  CHECK(told(false, 400ms).is_clean());
  CHECK(told(true, 600ms).is_clean());
  CHECK(only(told(false, 600ms), flaw::stuck_waiter).evidence.size() == 3);
}

TEST_CASE("a gauge above its bound is found") {
  story it;
  it.add({.action = action::gauge, .key = "unsent", .number = 8, .bound = 8});
  CHECK(it.check().is_clean());

  it.add({.action = action::gauge, .key = "unsent", .number = 9, .bound = 8});

  only(it.check(), flaw::bound_exceeded);
}

TEST_CASE("an end without a beginning is a fault of the history") {
  story it;
  it.end({.action = action::read, .process = "lax-1/1", .call = 7, .key = "a"});

  only(it.check(), flaw::never_begun);
}

TEST_CASE("all flaws are counted, and the first ones are kept") {
  story it;
  for (int i = 0; i < 5; ++i)
    it.write(std::to_string(i));
  it.last({});

  auto report = it.check({.findings_max = 2});

  CHECK(report.flaws[flaw::lost_write] == 5);
  CHECK(report.findings.size() == 2);
}
