#include "fly/testing/history.hpp"

#include <algorithm>
#include <array>
#include <istream>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "fly/actors/error.hpp"

namespace fly::testing {

namespace {

constexpr std::array<std::string_view, 4> phases{"invoke", "ok", "fail", "unknown"};
constexpr std::array<std::string_view, 9> actions{"write", "read",  "last", "call", "fault",
                                                  "life",  "gauge", "turn", "cut"};

template <class Enum, std::size_t N>
std::optional<Enum> named(const std::array<std::string_view, N>& names, std::string_view text) {
  auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end())
    return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

/// Calls `visit(name, field)` for each field that is text or a number.
template <class Event, class Visit>
void each_field(Event& what, Visit visit) {
  visit("process", what.process);
  visit("call", what.call);
  visit("key", what.key);
  visit("value", what.value);
  visit("values", what.values);
  visit("session", what.session);
  visit("once", what.once);
  visit("position", what.position);
  visit("visible", what.visible);
  visit("note", what.note);
  visit("epoch", what.epoch);
  visit("fence", what.fence);
  visit("number", what.number);
  visit("bound", what.bound);
}

caf::error malformed(std::string_view line, std::string_view why) {
  return make_error(errc::invalid_argument,
                    "no event: " + std::string{line.substr(0, 80)} + ": " + std::string{why});
}

} // namespace

std::string_view to_string(phase what) {
  return phases.at(static_cast<std::size_t>(what));
}

std::string_view to_string(action what) {
  return actions.at(static_cast<std::size_t>(what));
}

std::string to_line(const event& what) {
  nlohmann::ordered_json line;
  line["at"] = what.time.count();
  line["do"] = to_string(what.action);
  line["is"] = to_string(what.phase);
  if (what.deadline.count() != 0)
    line["deadline"] = what.deadline.count();
  each_field(what, [&line]<class T>(const char* name, const T& field) {
    if (field != T{})
      line[name] = field;
  });
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

caf::expected<event> parse_line(std::string_view line) {
  if (line.size() > line_bytes_max)
    return malformed(line, "more than " + std::to_string(line_bytes_max) + " bytes");
  try {
    auto from = nlohmann::json::parse(line);
    event result;
    auto is = named<phase>(phases, from.at("is").get<std::string>());
    auto does = named<action>(actions, from.at("do").get<std::string>());
    if (!is || !does)
      return malformed(line, "an unknown phase or action");
    result.phase = *is;
    result.action = *does;
    result.time = moment{from.at("at").get<std::int64_t>()};
    result.deadline = moment{from.value("deadline", std::int64_t{0})};
    each_field(result, [&from](const char* name, auto& field) {
      if (auto found = from.find(name); found != from.end())
        found->get_to(field);
    });
    return result;
  } catch (const nlohmann::json::exception& reason) {
    return malformed(line, reason.what());
  }
}

caf::error read_history(std::istream& from, history& into) {
  std::string line;
  for (std::size_t number = 1; std::getline(from, line); ++number) {
    if (from.eof())
      return {}; // no end of line
    if (into.size() == events_max)
      return make_error(errc::invalid_argument,
                        "more than " + std::to_string(events_max) + " events");
    auto read = parse_line(line);
    if (!read)
      return make_error(errc::invalid_argument,
                        "line " + std::to_string(number) + ": " + text_of(read.error()));
    into.push_back(std::move(*read));
  }
  return {};
}

void sort_by_time(history& what) {
  std::stable_sort(what.begin(), what.end(),
                   [](const event& a, const event& b) { return a.time < b.time; });
}

} // namespace fly::testing
