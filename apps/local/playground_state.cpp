#include "apps/local/playground_state.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

namespace fly::local {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const char* const file_name = "state.json";

json to_json(const process_mark& mark) {
  return {{"pid", mark.pid}, {"started", mark.started}};
}

process_mark mark_from(const json& text) {
  return {.pid = text.at("pid").get<pid_t>(), .started = text.at("started").get<std::string>()};
}

void claim(const fs::path& file) {
  int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0)
    throw std::runtime_error{"cannot make " + file.string() + ": " + std::strerror(errno)};
  ::close(descriptor);
}

/// A state names processes to kill and folders to remove: nobody else's word is taken for that.
bool is_own(const fs::path& folder) {
  struct stat found {};
  return ::lstat(folder.c_str(), &found) == 0 && S_ISDIR(found.st_mode) &&
         found.st_uid == ::getuid() && (found.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/// Only what a playground puts there: the folder may be the user's.
bool is_ours(const fs::path& file) {
  return file.filename() == file_name || file.extension() == ".log" || file.extension() == ".env" ||
         file.extension() == ".sock";
}

} // namespace

json to_json(const playground_state& state) {
  auto parts = json::array();
  for (const auto& it : state.parts) {
    auto part = to_json(it.mark);
    part.update({{"what", it.what},
                 {"region", it.region},
                 {"address", it.address},
                 {"hint", it.hint},
                 {"log", it.log},
                 {"runs", is_running(it.mark)}});
    parts.push_back(std::move(part));
  }
  return {{"name", state.name},
          {"primary", state.primary},
          {"delay_ms", state.delay.count()},
          {"keeper", to_json(state.keeper)},
          {"ready", state.ready},
          {"owns_folder", state.owns_folder},
          {"parts", std::move(parts)},
          {"faults", state.faults},
          {"folders", state.folders}};
}

void save(const playground_state& state, const fs::path& folder) {
  auto fresh = folder / "state.json.log"; // the name of a file of ours, should we die here
  {
    std::ofstream file{fresh};
    file << to_json(state).dump(2) << '\n';
    if (!file.flush())
      throw std::runtime_error{"cannot write " + fresh.string()};
  }
  fs::rename(fresh, folder / file_name);
}

std::optional<playground_state> load(const fs::path& folder) {
  std::ifstream file{folder / file_name};
  if (!file)
    return std::nullopt;
  if (!is_own(folder))
    throw std::runtime_error{folder.string() + " is not a folder that only you can write to"};
  try {
    auto text = json::parse(file);
    playground_state result;
    result.name = text.at("name").get<std::string>();
    result.primary = text.at("primary").get<std::string>();
    result.delay = std::chrono::milliseconds{text.at("delay_ms").get<std::int64_t>()};
    result.keeper = mark_from(text.at("keeper"));
    result.ready = text.at("ready").get<bool>();
    result.owns_folder = text.at("owns_folder").get<bool>();
    result.faults = text.value("faults", std::vector<std::string>{}); // none in former versions
    result.folders = text.at("folders").get<std::vector<std::string>>();
    for (const auto& it : text.at("parts"))
      result.parts.push_back({.what = it.at("what").get<std::string>(),
                              .region = it.at("region").get<std::string>(),
                              .mark = mark_from(it),
                              .address = it.at("address").get<std::string>(),
                              .hint = it.at("hint").get<std::string>(),
                              .log = it.at("log").get<std::string>()});
    return result;
  } catch (const json::exception& reason) {
    throw std::runtime_error{(folder / file_name).string() + " cannot be read: " + reason.what()};
  }
}

playground_state take_folder(const fs::path& folder, const std::string& name) {
  if (auto former = load(folder)) {
    if (is_running(former->keeper))
      throw std::runtime_error{"'" + former->name + "' is up already (process " +
                               std::to_string(former->keeper.pid) + ", " + folder.string() +
                               "); end it with: flycluster local down --dir " + folder.string()};
    end_playground(*former, folder, std::chrono::milliseconds{0});
  }
  playground_state result;
  result.name = name;
  result.keeper = mark_of(::getpid());
  // Made for this user alone: it holds the secret of the cluster.
  result.owns_folder = ::mkdir(folder.c_str(), 0700) == 0;
  if (!result.owns_folder && errno != EEXIST)
    throw std::runtime_error{"cannot make " + folder.string() + ": " + std::strerror(errno)};
  if (!is_own(folder) || !fs::is_empty(folder))
    throw std::runtime_error{folder.string() +
                             " is not an empty folder that only you can write to"};
  claim(folder / file_name);
  save(result, folder);
  return result;
}

void remove_files(const playground_state& state, const fs::path& folder) {
  std::error_code ignored;
  for (const auto& it : state.folders)
    fs::remove_all(it, ignored);
  std::vector<fs::path> files;
  for (const auto& it : fs::directory_iterator{folder, ignored})
    if (is_ours(it.path()))
      files.push_back(it.path());
  for (const auto& it : files)
    fs::remove(it, ignored);
  if (state.owns_folder)
    fs::remove(folder, ignored); // not what the user has put into it
}

std::string end_playground(const playground_state& state, const fs::path& folder,
                           std::chrono::milliseconds longest) {
  if (send_signal(state.keeper, SIGTERM) && wait_until_gone(state.keeper, longest) &&
      !fs::exists(folder / file_name))
    return {};
  auto now = load(folder).value_or(state); // it may have started more meanwhile
  send_signal(now.keeper, SIGKILL);
  for (const auto& it : now.parts) {
    if (it.what == "node" && is_running(it.mark))
      ::kill(-it.mark.pid, SIGKILL); // it leads its group
    send_signal(it.mark, it.what == "node" || it.what == "dns" ? SIGKILL : SIGQUIT);
  }
  std::string problem;
  for (const auto& it : now.parts)
    if (!wait_until_gone(it.mark, std::chrono::seconds{10}))
      problem += it.what + " " + it.region + " (process " + std::to_string(it.mark.pid) +
                 ") does not end\n";
  remove_files(now, folder);
  return problem;
}

} // namespace fly::local
