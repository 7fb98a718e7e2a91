#include "apps/local/environment.hpp"

#include <fstream>
#include <stdexcept>
#include <string_view>

#include <unistd.h>

namespace fly::local {

namespace {

bool is_decided_here(std::string_view name) {
  return name.starts_with("FLY_") || name == "PRIMARY_REGION" || name == "MY_REGION" ||
         name == "DATABASE_URL";
}

/// As one word of a shell.
std::string shell_quoted(const std::string& text) {
  std::string result = "'";
  for (char c : text)
    result += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return result + "'";
}

} // namespace

std::vector<std::string> environment_with(const variables& ours) {
  std::vector<std::string> result;
  for (char** it = environ; *it != nullptr; ++it) {
    std::string_view entry{*it};
    if (!is_decided_here(entry.substr(0, entry.find('='))))
      result.emplace_back(entry);
  }
  for (const auto& [name, value] : ours)
    result.push_back(name + "=" + value);
  return result;
}

std::filesystem::path environment_file(const std::filesystem::path& folder,
                                       const std::string& region) {
  return folder / (region + ".env");
}

void write_environment(const std::filesystem::path& file, const variables& ours) {
  std::ofstream out{file};
  for (const auto& [name, value] : ours)
    out << "export " << name << "=" << shell_quoted(value) << '\n';
  if (!out.flush())
    throw std::runtime_error{"cannot write " + file.string()};
}

} // namespace fly::local
