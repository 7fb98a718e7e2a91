#include "apps/local/playground_options.hpp"

#include <algorithm>
#include <set>

#include <unistd.h>

#include "apps/local/loopback_block.hpp"

namespace fly::local {

namespace {

constexpr std::size_t label_bytes_max = 30;
constexpr std::chrono::milliseconds delay_max{5000};

/// Labels become DNS names, file names and words in lists.
bool is_label(const std::string& text) {
  auto is_fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !text.empty() && text.size() <= label_bytes_max && text.front() != '-' &&
         text.back() != '-' && std::all_of(text.begin(), text.end(), is_fine);
}

bool holds(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

std::string label_problem(const std::string& flag, const std::string& text) {
  if (is_label(text))
    return {};
  return flag + ": '" + text + "' is no label: 1 to " + std::to_string(label_bytes_max) +
         " of a-z, 0-9 and '-'";
}

std::string list_problem(const std::string& flag, const std::vector<std::string>& labels) {
  for (const auto& it : labels)
    if (auto problem = label_problem(flag, it); !problem.empty())
      return problem;
  if (std::set<std::string>{labels.begin(), labels.end()}.size() != labels.size())
    return flag + ": a region is named twice";
  return {};
}

} // namespace

std::vector<std::string> playground_options::replica_regions() const {
  if (replicas)
    return *replicas;
  auto result = regions;
  std::erase(result, primary_region());
  return result;
}

std::string playground_options::problem() const {
  if (auto wrong = label_problem("--name", name); !wrong.empty())
    return wrong;
  if (regions.empty() || regions.size() > loopback_block::regions_max)
    return "--regions: 1 to " + std::to_string(loopback_block::regions_max) +
           " are possible, not " + std::to_string(regions.size());
  if (auto wrong = list_problem("--regions", regions); !wrong.empty())
    return wrong;
  if (!holds(regions, primary_region()))
    return "--primary: '" + primary + "' is none of the regions";
  if (auto wrong = list_problem("--replicas", replica_regions()); !wrong.empty())
    return wrong;
  for (const auto& it : replica_regions())
    if (!holds(regions, it) || it == primary_region())
      return "--replicas: '" + it + "' is not a region other than the primary's";
  if (delay < delay.zero() || delay > delay_max)
    return "--delay: " + std::to_string(delay.count()) + " ms is not between 0 and " +
           std::to_string(delay_max.count()) + " ms";
  if (port == 0)
    return "--port: must be 1 to 65535";
  if (command.empty() || command.front().empty())
    return "no command: give the program behind --, as in: up -- ./shop --verbose";
  return {};
}

std::filesystem::path default_folder(const std::string& name) {
  return std::filesystem::temp_directory_path() /
         ("fly-local-" + std::to_string(::getuid()) + "-" + name);
}

} // namespace fly::local
