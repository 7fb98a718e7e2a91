#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

#include <stdlib.h> // mkdtemp

#include <nlohmann/json.hpp>

#include "tests/apps/shell.hpp"
#include "tests/support/eventually.hpp"

namespace fly::test {

/// The guestbook in syd (primary), lax and ams, as `flycluster local` runs it: pages at port 8080
/// of each region's address, the admin port 9100. Taken down with the object. Throws where it does
/// not come up.
class local_cluster {
public:
  /// `words` are further flags of `flycluster local up`.
  explicit local_cluster(const std::string& words = {}) {
    auto name = (std::filesystem::temp_directory_path() / "fly-apps-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error{"no temporary folder"};
    folder_ = name;
    auto up = shell(std::string{FLYCLUSTER} + " local up --detach --json --name shop --dir " +
                    folder_.string() + " " + words + " -- " + GUESTBOOK +
                    " --http {address}:8080 --admin {address}:9100 2>/dev/null");
    state_ = nlohmann::json::parse(up.text, nullptr, false);
    if (up.code != 0 || !state_.is_object())
      throw std::runtime_error{"flycluster local up: " + up.text};
    if (!eventually([this] { return ready(); }, std::chrono::seconds{20}))
      throw std::runtime_error{"the regions did not become ready"};
  }

  ~local_cluster() {
    try {
      shell(std::string{FLYCLUSTER} + " local down --dir " + folder_.string());
    } catch (const std::exception&) { // nothing more can be done
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  local_cluster(const local_cluster&) = delete;
  local_cluster& operator=(const local_cluster&) = delete;

  /// Returns the address of a region's node.
  std::string host(std::string_view region) const {
    auto address = part(region, "node")["address"].get<std::string>();
    return address.substr(0, address.find(':'));
  }

  /// Returns what runs in a region: "node", "primary", "replica".
  const nlohmann::json& part(std::string_view region, std::string_view what) const {
    for (const auto& each : state_["parts"])
      if (each["what"] == what && each["region"] == region)
        return each;
    throw std::runtime_error{"no such part"};
  }

  /// Returns the folder of the regions' logs and environments.
  const std::filesystem::path& folder() const { return folder_; }

  /// Runs flycluster with the environment of a region's node.
  shell_answer flycluster(const std::string& region, const std::string& words) const {
    return shell(". " + (folder_ / (region + ".env")).string() + " && " + FLYCLUSTER + " " + words);
  }

  /// Writes an entry through a region's node and returns the answer.
  shell_answer write(const std::string& region, const std::string& text) const {
    return write_to(host(region) + ":8080", text);
  }

  /// Writes one through the node whose page is at `address`.
  static shell_answer write_to(const std::string& address, const std::string& text) {
    return shell("curl -s -H 'Content-Type: application/json' -d '" +
                 nlohmann::json{{"author", "test"}, {"text", text}}.dump() + "' http://" + address +
                 "/entries");
  }

  shell_answer curl(const std::string& region, const std::string& port_and_path) const {
    return shell("curl -s http://" + host(region) + ":" + port_and_path);
  }

private:
  /// Every region sees three members, a primary and who leads, and writes are visible.
  bool ready() const {
    for (const char* region : {"syd", "lax", "ams"})
      if (!has(curl(region, "8080/readyz").text, "\"members\":3") || !leads(region) ||
          !has(write(region, "warm").text, "\"visible\":true"))
        return false;
    return true;
  }

  bool leads(const std::string& region) const {
    auto status = nlohmann::json::parse(curl(region, "9100/status").text, nullptr, false);
    return status.is_object() && status["leader"]["id"] == "machine-syd";
  }

  std::filesystem::path folder_;
  nlohmann::json state_;
};

} // namespace fly::test
