#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "fly/testing/checker.hpp"

namespace fly::testing {

/// Tells a history, one event a line, each a millisecond after the one before.
class story {
public:
  using strings = std::vector<std::string>;

  /// Lets time pass.
  story& wait(std::chrono::milliseconds how_long) {
    now_ += how_long;
    return *this;
  }

  /// Begins an action; returns its beginning, to be ended.
  event begin(event what) {
    what.phase = phase::invoke;
    what.call = what.call == 0 ? ++calls_ : what.call;
    if (what.process.empty())
      what.process = "lax-1/1";
    return add(std::move(what));
  }

  event end(event what, phase how = phase::ok) {
    what.phase = how;
    return add(std::move(what));
  }

  /// A write of `value` to list "a" that ends as `how`.
  story& write(std::string value, event more = {}, phase how = phase::ok) {
    more.action = action::write;
    more.key = "a";
    more.value = std::move(value);
    auto begun = begin(more);
    end(begun, how);
    return *this;
  }

  /// A read of list "a".
  story& read(std::string session, strings values) {
    auto begun = begin({.action = action::read, .key = "a", .session = std::move(session)});
    begun.values = std::move(values);
    end(begun);
    return *this;
  }

  story& last(strings values, std::string position = "7.1.0/500") {
    add({.phase = phase::ok,
         .action = action::last,
         .process = "checker",
         .key = "a",
         .values = std::move(values),
         .position = std::move(position)});
    return *this;
  }

  story& fault(phase when, std::string kind, std::string target) {
    add({.phase = when,
         .action = action::fault,
         .process = std::move(target),
         .key = std::move(kind)});
    return *this;
  }

  event add(event what) {
    now_ += std::chrono::milliseconds{1};
    what.time = now_;
    events_.push_back(what);
    return what;
  }

  const history& events() const { return events_; }
  check_report check(const check_limits& limits = {}) const {
    return testing::check(events_, limits);
  }

private:
  moment now_{std::chrono::hours{1}};
  std::uint64_t calls_ = 0;
  history events_;
};

} // namespace fly::testing
