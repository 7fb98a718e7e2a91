#include "apps/local/region_lines.hpp"

namespace fly::local {

namespace {

std::string with_port(const std::string& host, std::uint16_t port) {
  return host + ":" + std::to_string(port);
}

} // namespace

region_lines::region_lines(const std::vector<region_door>& doors, std::uint16_t port,
                           std::chrono::milliseconds usual_delay)
    : rules_(doors.size(), usual_delay) {
  std::vector<std::string> clients;
  for (const auto& each : doors)
    clients.push_back(each.own);
  for (const auto& each : doors)
    fronts_.push_back(
        std::make_unique<delay_proxy>(delay_proxy_options{.listen = with_port(each.front, port),
                                                          .target = with_port(each.own, port),
                                                          .clients = clients}));
  apply();
}

std::uint16_t region_lines::to_database(std::size_t from, std::size_t to, std::uint16_t port) {
  auto& line = databases_[{from, to}];
  if (!line) {
    line =
        std::make_unique<delay_proxy>(delay_proxy_options{.target = with_port("127.0.0.1", port)});
    apply();
  }
  return line->port();
}

void region_lines::cut(std::size_t region, bool in, bool out) {
  rules_.cut(region, in, out);
  apply();
}

void region_lines::delay(std::size_t region, std::optional<std::chrono::milliseconds> each_way) {
  rules_.delay(region, each_way);
  apply();
}

bool region_lines::is_cut(std::size_t one, std::size_t other) const {
  auto rules = rules_.between(one, other);
  return rules.cut[0] || rules.cut[1];
}

void region_lines::apply() {
  for (std::size_t to = 0; to < fronts_.size(); ++to)
    for (std::size_t from = 0; from <= fronts_.size(); ++from)
      fronts_[to]->rules(from, rules_.between(from, to));
  for (auto& [way, line] : databases_)
    line->rules(0, rules_.between(way.first, way.second));
}

} // namespace fly::local
