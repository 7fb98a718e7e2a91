#include "fly/cluster/discovery.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "fly/actors/error.hpp"

namespace fly::cluster {

caf::expected<std::vector<machine>> parse_machines(std::string_view text) {
  std::vector<machine> result;
  while (!text.empty()) {
    auto comma = text.find(',');
    auto entry = text.substr(0, comma);
    auto space = entry.find(' ');
    bool sound = space != std::string_view::npos && space > 0 && space + 1 < entry.size() &&
                 entry.find(' ', space + 1) == std::string_view::npos && comma != text.size() - 1;
    if (!sound)
      return make_error(errc::dns_failed, "'" + std::string{entry.substr(0, 80)} +
                                              "' is not a machine and its region");
    result.push_back({std::string{entry.substr(0, space)}, std::string{entry.substr(space + 1)}});
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return result;
}

bool damped_answers::take(const caf::expected<std::vector<std::string>>& answer) {
  if (!answer || answer->empty())
    return false;
  auto before = values();
  for (auto& [value, misses] : misses_)
    ++misses;
  for (const auto& value : *answer)
    misses_[value] = 0;
  std::erase_if(misses_, [](const auto& entry) { return entry.second > misses_max; });
  return values() != before;
}

std::vector<std::string> damped_answers::values() const {
  std::vector<std::string> result;
  for (const auto& [value, misses] : misses_)
    result.push_back(value);
  return result;
}

discovery::discovery(const std::vector<std::string>& peers, const std::string& name,
                     std::uint16_t port) {
  std::set<std::pair<std::string, std::uint16_t>> names;
  if (!name.empty())
    names.emplace(name, port);
  for (const auto& peer : peers) {
    auto where = parse_socket_address(peer, port);
    if (!where)
      continue; // options::validate has refused it
    if (reach_of(where->host) == reach::name)
      names.emplace(where->host, where->port);
    else
      fixed_.push_back(to_string(*where));
  }
  for (const auto& [host, its_port] : names)
    questions_.push_back({host, its_port});
  answers_.resize(questions_.size());
}

void discovery::take(std::size_t index, const caf::expected<std::vector<std::string>>& answer) {
  answers_.at(index).take(answer);
}

caf::error discovery::take_machines(const caf::expected<std::string>& text) {
  if (!text)
    return text.error();
  auto parsed = parse_machines(*text);
  if (!parsed)
    return parsed.error();
  if (!parsed->empty())
    machines_ = std::move(*parsed);
  return {};
}

std::vector<std::string> discovery::addresses() const {
  std::set<std::string> result{fixed_.begin(), fixed_.end()};
  for (std::size_t i = 0; i < questions_.size(); ++i)
    for (const auto& host : answers_[i].values())
      result.insert(to_string(socket_address{host, questions_[i].port}));
  return {result.begin(), result.end()};
}

} // namespace fly::cluster
