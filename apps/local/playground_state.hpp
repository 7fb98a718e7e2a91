#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "apps/local/process.hpp"

namespace fly::local {

/// One process of a playground.
struct playground_part {
  /// "node", "primary", "replica", "old primary" (writable still, and left by the others) or "dns".
  std::string what{};
  /// Its region; empty for DNS.
  std::string region{};
  process_mark mark{};
  /// Where it listens, "127.0.0.2:4370".
  std::string address{};
  /// What else helps to look at it: a database's URL; a node's file of environment variables.
  std::string hint{};
  std::string log{};
};

/// What runs where: kept in the playground's folder, so that another program can look at it and end
/// it. A value.
struct playground_state {
  std::string name{};
  std::string primary{};
  std::chrono::milliseconds delay{0};
  /// The process that started the others and ends them.
  process_mark keeper{};
  /// Whether all of it runs; false while it starts.
  bool ready = false;
  /// Whether the folder is to be removed at the end, not only what is in it.
  bool owns_folder = false;
  std::vector<playground_part> parts{};
  /// Faults that last, "freeze-node lax".
  std::vector<std::string> faults{};
  /// Folders elsewhere that hold data of the parts.
  std::vector<std::string> folders{};
};

/// Returns the state as JSON, for the file and for people: each part with "runs" as it is now.
nlohmann::json to_json(const playground_state& state);

/// Writes the state into `folder`, whole or not at all. Throws std::runtime_error.
void save(const playground_state& state, const std::filesystem::path& folder);

/// Reads the state of the playground in `folder`; nothing where there is none. Throws
/// std::runtime_error where the file is damaged.
std::optional<playground_state> load(const std::filesystem::path& folder);

/// Makes `folder` (or takes it, empty) for this process, which becomes the keeper. What is left of
/// a playground whose keeper has died is ended and removed first. Throws std::runtime_error where a
/// playground is up there, or something else is.
playground_state take_folder(const std::filesystem::path& folder, const std::string& name);

/// Removes the playground's files and, where it was made for it, the folder.
void remove_files(const playground_state& state, const std::filesystem::path& folder);

/// Ends the playground in `folder`: asks the keeper, waits up to `longest`, then kills whatever of
/// it still runs, each process only if it is the very same, and removes all files. Returns a
/// problem, "" where nothing is left.
std::string end_playground(const playground_state& state, const std::filesystem::path& folder,
                           std::chrono::milliseconds longest);

} // namespace fly::local
