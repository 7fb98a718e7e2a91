#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/local/fault.hpp"
#include "apps/local/playground_options.hpp"
#include "apps/local/playground_state.hpp"

namespace fly::local {

/// A whole application on this machine: a throw-away PostgreSQL primary with streaming replicas,
/// DNS for "<name>.internal", and in each region one process of the user's program with the
/// environment that it would have on Fly. Each region stands behind a proxy, and so does the
/// primary for its replicas: whatever passes between two regions may be late or cut, whoever dials.
/// All of it ends with the object, or with the thread that made it. Not thread-safe. A resource.
class playground {
public:
  /// Starts everything and waits until each node listens, or 15 s. Calls `checkpoint` now and then,
  /// which may throw to give up. Throws std::runtime_error with what failed, and the end of the
  /// log. After a failure nothing is left. `options` have no problem.
  explicit playground(
      playground_options options, std::function<void()> checkpoint = [] {});

  /// Ends the nodes as Fly does (SIGINT, 5 s, SIGTERM), then the rest, and removes all files.
  ~playground();

  playground(const playground&) = delete;
  playground& operator=(const playground&) = delete;

  /// Returns what runs where.
  const playground_state& state() const noexcept;

  /// Returns a line for each node that has ended since the last look, with the end of its log.
  std::vector<std::string> look();

  /// Returns the regions whose node did not listen on the cluster's port when the start was over.
  const std::vector<std::string>& silent_regions() const noexcept;

  /// Does a fault, and returns when it is done; one that lasts stays until `end`. Where it cannot
  /// be done, nothing is changed, or what the result's problem says.
  fault_result begin(const fault& what);

  /// Ends all faults that last and are chosen. None is left out because another one cannot be
  /// ended.
  fault_result end(const fault_choice& which);

  /// Returns what can be read from when another program wants `begin` or `end`; `serve` then does
  /// it and answers.
  int door() const;
  void serve();

private:
  class parts;
  std::unique_ptr<parts> parts_;
};

/// Asks the playground in `folder`, which another program keeps, for the same, and waits. Throw
/// std::runtime_error where nobody keeps it.
fault_result ask_to_begin(const std::filesystem::path& folder, const fault& what);
fault_result ask_to_end(const std::filesystem::path& folder, const fault_choice& which);

} // namespace fly::local
