#include "apps/common/json.hpp"

#include <array>
#include <ctime>

#include <nlohmann/json.hpp>

#include "fly/actors/error.hpp"
#include "fly/repo/lsn.hpp"

namespace fly::apps {

namespace {

std::string iso_time(std::int64_t microseconds_since_epoch) {
  std::time_t seconds = microseconds_since_epoch / 1'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 24> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

} // namespace

nlohmann::json error_json(const caf::error& reason) {
  auto code = code_of(reason);
  nlohmann::json result{{"error", text_of(reason)},
                        {"code", to_string(code)},
                        {"effect", std::string{to_string(effect_of(code))}}};
  if (result["error"].get_ref<const std::string&>().empty())
    result["error"] = to_string(code);
  if (auto details = details_of(reason); !details.empty())
    result["details"] = details;
  return result;
}

nlohmann::json member_json(const rpc::member_report& member) {
  return {{"id", member.id},
          {"region", member.region},
          {"role", member.role},
          {"state", member.state},
          {"timeline", member.timeline},
          {"lsn", member.lsn == 0 ? std::string{} : to_string(repo::lsn{member.lsn})},
          {"lag_us", member.lag_us},
          {"version", member.version},
          {"address", member.address},
          {"since", iso_time(member.since_us)},
          {"reason", member.reason}};
}

nlohmann::json leader_json(const rpc::leader_report& leader) {
  return {{"id", leader.id}, {"timeline", leader.timeline}, {"counter", leader.counter}};
}

} // namespace fly::apps
