#include <array>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <utility>

#include <nlohmann/json.hpp>

#include "apps/common/json.hpp"
#include "apps/flycluster/explain.hpp"
#include "fly/actors/error.hpp"
#include "fly/repo/explain_write.hpp"
#include "fly/repo/transaction_runner.hpp"

namespace fly::apps {

namespace {

using std::chrono::microseconds;

/// The parts as they are shown: in the order of time, but for the wire, which is there before and
/// after.
constexpr std::array<std::pair<std::string_view, const char*>, 7> shown_parts{{
    {rpc::find_member_part, "find member"},
    {rpc::queue_part, "queue"},
    {rpc::wire_part, "wire"},
    {rpc::function_part, "function"},
    {repo::commit_part, "commit"},
    {repo::replication_part, "replication"},
    {repo::wake_part, "wake"},
}};

/// Returns what a part is, for people.
std::string meaning(const explained& call, std::string_view part) {
  if (part == rpc::find_member_part)
    return "until there was a member to ask";
  if (part == rpc::queue_part)
    return call.is_write ? "there, for a worker and a database connection" : "there, for a worker";
  if (part == rpc::wire_part)
    return call.what.member == call.from.id ? "none: handed over and back within the asking node"
                                            : "there and back: the rest of the round trip";
  if (part == rpc::function_part)
    return call.is_write ? "the function, with its statements" : "the function";
  if (part == repo::commit_part)
    return "COMMIT and the position, one round trip to the database";
  if (part == repo::replication_part)
    return "from the answer until the database in " + call.from.region + " had it";
  return "until the caller's thread ran again";
}

std::string milliseconds(microseconds time) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(3) << static_cast<double>(time.count()) / 1000 << " ms";
  return out.str();
}

void print_line(const char* title, const std::string& time, const std::string& text) {
  std::cout << "  " << std::left << std::setw(12) << title << std::right << std::setw(13) << time
            << text << '\n';
}

/// Returns where a call without a result stopped, for people; empty where it is not known.
std::string stop_text(const explained& call) {
  const auto& where = call.what.stopped_in;
  if (where == rpc::round_trip_part)
    return call.is_write ? "wire, queue, function or commit: it was sent, and no answer came"
                         : "wire, queue or function: it was sent, and no answer came";
  for (const auto& [part, title] : shown_parts)
    if (part == where)
      return title;
  return where;
}

void print_text(const explained& call) {
  const auto& what = call.what;
  std::string who = "nobody was asked";
  if (!what.member.empty())
    who = (what.code == 0 ? "served by " : "asked ") + what.member +
          (call.served_region.empty() ? "" : " in " + call.served_region);
  std::cout << call.name << ": from " << call.from.id << " in " << call.from.region << ", " << who
            << '\n';
  for (const auto& [part, title] : shown_parts) {
    auto took = part_of(call, part);
    print_line(title, took ? milliseconds(*took) : "-",
               "  " + (took ? meaning(call, part) : why_absent(call, part)));
  }
  print_line("total", milliseconds(what.total), "");
  if (auto reason = rpc::error_of(what)) {
    std::cout << "error     " << fly::to_string(reason) << '\n';
    if (auto where = stop_text(call); !where.empty())
      std::cout << "stopped   in " << where << '\n';
    return;
  }
  std::cout << "result    " << call.result << '\n';
  if (call.is_write)
    std::cout << "position  " << what.position << '\n'
              << "visible   in " << call.from.region << ": "
              << (what.visible        ? "yes"
                  : what.late.empty() ? "not waited for"
                                      : "no, and it is committed: " + what.late)
              << '\n';
}

void print_json(const explained& call) {
  const auto& what = call.what;
  auto or_null = [](const std::string& text) {
    return text.empty() ? nlohmann::ordered_json{} : nlohmann::ordered_json(text);
  };
  nlohmann::ordered_json out;
  out["function"] = call.name;
  out["from"] = call.from.id;
  out["from_region"] = call.from.region;
  out["served_by"] = or_null(what.member);
  out["served_region"] = or_null(call.served_region);
  for (const auto& [part, title] : shown_parts) {
    auto took = part_of(call, part);
    out[std::string{part} + "_us"] =
        took ? nlohmann::ordered_json(took->count()) : nlohmann::ordered_json{};
  }
  out["total_us"] = what.total.count();
  out["position"] = or_null(what.position);
  out["visible"] = nullptr;
  if (!what.position.empty())
    out["visible"] = what.visible;
  if (!what.late.empty())
    out["late"] = what.late;
  out["result"] = nlohmann::ordered_json::parse(call.result, nullptr, false);
  if (auto reason = rpc::error_of(what)) {
    out["stopped_in"] = or_null(what.stopped_in);
    auto error = error_json(reason);
    for (const auto& [key, value] : error.items())
      out[key] = value;
  }
  // Words of members and databases may be anything: replace what is not UTF-8.
  std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

} // namespace

std::optional<microseconds> part_of(const explained& call, std::string_view name) {
  for (const auto& [each, took] : call.what.parts)
    if (each == name)
      return took;
  return std::nullopt;
}

std::string why_absent(const explained& call, std::string_view name) {
  bool is_wait = name == repo::replication_part || name == repo::wake_part;
  if (!call.is_write && is_wait)
    return "no write: nothing to wait for";
  if (!call.is_write && name == repo::commit_part)
    return "no write: nothing to commit";
  if (call.what.code != 0)
    return call.what.stopped_in == rpc::round_trip_part && !is_wait ? "not told: no answer came"
                                                                    : "not reached";
  if (is_wait && call.what.visible)
    return "it ran on the asking node: nothing to wait for";
  if (is_wait)
    return call.has_database ? "not waited for" : "the asking node has no database to wait for";
  return "the member that was asked runs a version that does not tell";
}

int print_explained(const explained& call, bool json) {
  if (json)
    print_json(call);
  else
    print_text(call);
  return call.what.code == 0 ? exit_done : exit_failed;
}

} // namespace fly::apps
