#include "apps/local/fault.hpp"

#include <sstream>

#include <nlohmann/json.hpp>

namespace fly::local {

using nlohmann::json;

std::string fault::name() const {
  if (kind == "cut")
    return one_way.empty() ? "cut-both-ways" : "cut-one-way";
  return part.empty() ? kind : kind + "-" + part;
}

std::string fault::target() const {
  if (part == "dns")
    return part;
  if (part == "database" || kind == "promote" || kind == "rebuild")
    return region.empty() ? "databases" : "database-" + region;
  return region;
}

std::optional<timeline_switch> read_switch(std::uint32_t timeline, const std::string& file) {
  std::istringstream lines{file};
  std::optional<timeline_switch> result;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields{line};
    timeline_switch found{.timeline = timeline};
    if (fields >> found.parent >> found.left_at)
      result = found;
  }
  return result;
}

json to_json(const fault& what) {
  return {{"kind", what.kind},
          {"part", what.part},
          {"region", what.region},
          {"one_way", what.one_way},
          {"delay_ms", what.delay.count()}};
}

fault fault_from(const json& text) {
  return {.kind = text.at("kind").get<std::string>(),
          .part = text.at("part").get<std::string>(),
          .region = text.at("region").get<std::string>(),
          .one_way = text.at("one_way").get<std::string>(),
          .delay = std::chrono::milliseconds{text.at("delay_ms").get<std::int64_t>()}};
}

json to_json(const fault_choice& what) {
  return {{"kind", what.kind}, {"part", what.part}, {"region", what.region}};
}

fault_choice choice_from(const json& text) {
  return {.kind = text.at("kind").get<std::string>(),
          .part = text.at("part").get<std::string>(),
          .region = text.at("region").get<std::string>()};
}

json to_json(const fault_result& what) {
  json result{{"begun", json::array()}, {"ended", json::array()}, {"problem", what.problem}};
  for (const auto& each : what.begun)
    result["begun"].push_back(to_json(each));
  for (const auto& each : what.ended)
    result["ended"].push_back(to_json(each));
  if (what.switched)
    result["switched"] = {{"timeline", what.switched->timeline},
                          {"parent", what.switched->parent},
                          {"left_at", what.switched->left_at}};
  return result;
}

fault_result result_from(const json& text) {
  fault_result result;
  for (const auto& each : text.at("begun"))
    result.begun.push_back(fault_from(each));
  for (const auto& each : text.at("ended"))
    result.ended.push_back(fault_from(each));
  if (text.contains("switched")) {
    const auto& found = text.at("switched");
    result.switched = {.timeline = found.at("timeline").get<std::uint32_t>(),
                       .parent = found.at("parent").get<std::uint32_t>(),
                       .left_at = found.at("left_at").get<std::string>()};
  }
  result.problem = text.at("problem").get<std::string>();
  return result;
}

} // namespace fly::local
