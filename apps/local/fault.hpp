#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace fly::local {

/// What is done to a playground. A value.
struct fault {
  /// "kill", "freeze" (a part), "cut", "delay" (a region) last until they are ended; "restart" (a
  /// part), "promote", "rebuild" (a region's database) are over when they are done.
  std::string kind{};
  /// "node", "database" or "dns"; empty where a kind has none.
  std::string part{};
  /// Empty for dns, and for "rebuild" of all databases that follow nobody.
  std::string region{};
  /// Which way is cut: "in", "out", or empty for both.
  std::string one_way{};
  /// Time from the region to any other one, each way.
  std::chrono::milliseconds delay{0};

  /// Whether it lasts until it is ended.
  bool lasts() const {
    return kind == "kill" || kind == "freeze" || kind == "cut" || kind == "delay";
  }

  /// Returns its kind in a history, "freeze-node", "cut-both-ways", "delay".
  std::string name() const;

  /// Returns whom it is done to, in a history: "lax", "database-lax", "dns", or "databases".
  std::string target() const;

  friend bool operator==(const fault&, const fault&) = default;
};

/// Which faults are ended: those whose fields are these, where these are not empty. A value.
struct fault_choice {
  std::string kind{};
  std::string part{};
  std::string region{};

  bool has(const fault& what) const {
    return (kind.empty() || kind == what.kind) && (part.empty() || part == what.part) &&
           (region.empty() || region == what.region);
  }
};

/// A timeline and where it left the one before.
struct timeline_switch {
  std::uint32_t timeline = 0;
  std::uint32_t parent = 0;
  /// As PostgreSQL prints it, "0/3000148".
  std::string left_at{};

  friend bool operator==(const timeline_switch&, const timeline_switch&) = default;
};

/// What has come of it.
struct fault_result {
  std::vector<fault> begun{};
  std::vector<fault> ended{};
  std::optional<timeline_switch> switched{};
  /// What went wrong; the rest was done. Empty where nothing did.
  std::string problem{};
};

/// Returns where the newest timeline left its parent, by the content of its history file
/// (PostgreSQL 15, section 26.3.6: "1\t0/3000148\treason", oldest first); nothing where there is no
/// line.
std::optional<timeline_switch> read_switch(std::uint32_t timeline, const std::string& file);

// -- as JSON, between a command and the keeper; what cannot be read throws nlohmann's exception

nlohmann::json to_json(const fault& what);
fault fault_from(const nlohmann::json& text);
nlohmann::json to_json(const fault_choice& what);
fault_choice choice_from(const nlohmann::json& text);
nlohmann::json to_json(const fault_result& what);
fault_result result_from(const nlohmann::json& text);

} // namespace fly::local
