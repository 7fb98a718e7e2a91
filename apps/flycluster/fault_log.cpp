#include "apps/flycluster/fault_log.hpp"

#include <iostream>
#include <stdexcept>

#include "fly/testing/recorder.hpp"

namespace fly::apps {

using testing::action;
using testing::phase;

namespace {

std::string name_of(const local::fault& what) {
  if (what.part == "dns")
    return "dns";
  return "the " + (what.part.empty() ? "database" : what.part) + " of " + what.region;
}

} // namespace

std::string text_of_begin(const local::fault& what) {
  if (what.kind == "cut")
    return what.one_way.empty()   ? what.region + " is cut off"
           : what.one_way == "in" ? "nothing comes into " + what.region
                                  : "nothing comes out of " + what.region;
  if (what.kind == "delay")
    return what.region + " is " + std::to_string(what.delay.count()) + " ms away, each way";
  if (what.kind == "promote")
    return name_of(what) + " is the primary";
  if (what.kind == "rebuild")
    return name_of(what) + " follows the primary, made anew from it";
  return name_of(what) + (what.kind == "freeze"    ? " is frozen"
                          : what.kind == "restart" ? " was restarted"
                                                   : " is killed");
}

std::string text_of_end(const local::fault& what) {
  if (what.kind == "cut")
    return what.region + " is reached again";
  if (what.kind == "delay")
    return what.region + " is as far away as before";
  return name_of(what) + (what.kind == "freeze" ? " goes on" : " runs again");
}

fault_log::fault_log(const std::filesystem::path& record, bool as_json) : as_json_(as_json) {
  if (record.empty())
    return;
  file_.open(record, std::ios::app);
  if (!file_)
    throw std::runtime_error{"cannot write " + record.string()};
}

void fault_log::note(testing::event what) {
  auto line = testing::to_line(what);
  if (as_json_)
    std::cout << line << std::endl;
  if (file_.is_open() && !(file_ << line << std::endl))
    throw std::runtime_error{"the history cannot be written on"};
}

void fault_log::tell(const local::fault_result& what, testing::moment since) {
  auto now = testing::now();
  auto of = [](const local::fault& each, phase when, testing::moment time) {
    return testing::event{.phase = when,
                          .action = action::fault,
                          .process = each.target(),
                          .time = time,
                          .key = each.name()};
  };
  for (const auto& each : what.begun)
    note(of(each, phase::invoke, since));
  for (const auto& each : what.ended)
    note(of(each, phase::ok, now));
  if (what.switched)
    note({.phase = phase::ok,
          .action = action::cut,
          .process = "nemesis",
          .time = now,
          .value = what.switched->left_at,
          .number = what.switched->timeline,
          .bound = what.switched->parent});
  if (as_json_)
    return;
  for (const auto& each : what.begun)
    std::cout << text_of_begin(each) << std::endl;
  for (const auto& each : what.ended)
    if (each.lasts())
      std::cout << text_of_end(each) << std::endl;
}

} // namespace fly::apps
