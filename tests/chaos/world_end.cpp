// The end of a run: all is healed, the nodes end in order, and what is there is read.
#include <csignal>
#include <fstream>
#include <set>

#include <nlohmann/json.hpp>

#include "fly/actors/error.hpp"
#include "tests/chaos/world.hpp"

namespace fly::chaos {

using nlohmann::json;
using testing::action;
using testing::phase;

testing::history world::finish() {
  net.heal();
  std::string wrong;
  std::vector<local::process*> running;
  for (auto& each : machines) {
    if (auto how = each.running->ended())
      wrong += "\n" + each.id + " had ended by itself: " + *how + ": " + each.running->log_tail(5);
    running.push_back(each.running.get());
  }
  local::stop_all(running, 8s);
  for (auto& each : machines)
    if (auto how = each.running->ended(); how != "exit code 0" && wrong.empty())
      wrong += "\n" + each.id + " did not end in order: " + how.value_or("runs") + ": " +
               each.running->log_tail(5);
  if (!wrong.empty())
    throw std::runtime_error{"nodes have failed:" + wrong};
  auto all = histories();
  add_last(all);
  testing::sort_by_time(all);
  return all;
}

testing::history world::histories() const {
  testing::history result;
  for (const auto& each : std::filesystem::directory_iterator{folder_})
    if (each.path().extension() == ".jsonl") {
      std::ifstream from{each.path()};
      if (auto reason = testing::read_history(from, result))
        throw std::runtime_error{each.path().string() + ": " + fly::to_string(reason)};
    }
  return result;
}

void world::add_last(testing::history& into) {
  auto ask = [this](const std::string& what) {
    return json::parse(sql(primary, "SELECT coalesce((" + what + ")::json, '[]')"));
  };
  auto now = testing::now();
  auto position = sql(primary, "SELECT (SELECT system_identifier FROM pg_control_system())::text "
                               "|| '.' || ('x' || substr(pg_walfile_name("
                               "pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int8 || '.' || "
                               "pg_current_wal_flush_lsn()");
  std::set<std::string> lists;
  for (const auto& each : into)
    if (each.action == action::write)
      lists.insert(each.key);
  auto rows = ask("SELECT json_object_agg(list, values) FROM (SELECT list, json_agg(value ORDER BY "
                  "id) AS values FROM notes GROUP BY list) AS each");
  for (const auto& list : lists)
    into.push_back({.phase = phase::ok,
                    .action = action::last,
                    .process = "nemesis",
                    .time = now,
                    .key = list,
                    .values = rows.is_object() && rows.contains(list)
                                  ? rows[list].get<std::vector<std::string>>()
                                  : std::vector<std::string>{},
                    .position = position});
  for (const auto& row : ask("SELECT json_agg(json_build_array(list, value, begun, committed)) "
                             "FROM notes WHERE begun IS NOT NULL"))
    into.push_back({.phase = phase::ok,
                    .action = action::turn,
                    .process = "nemesis",
                    .time = now,
                    .key = row[0],
                    .value = row[1],
                    .epoch = row[2],
                    .fence = row[3]});
  for (const auto& row : ask("SELECT json_agg(json_build_array(timeline, parent, "
                             "coalesce(left_at::text, ''))) FROM fly.timeline WHERE parent > 0"))
    into.push_back({.phase = phase::ok,
                    .action = action::cut,
                    .process = "nemesis",
                    .time = now,
                    .value = row[2],
                    .number = row[0],
                    .bound = row[1]});
}

} // namespace fly::chaos
