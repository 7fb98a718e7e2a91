#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "fly/cluster/tcp.hpp"

namespace fly::local {

/// Longest request and answer.
inline constexpr std::size_t control_bytes_max = 64 * 1024;

/// The door of a playground's keeper: a socket in its folder, at which other programs of the same
/// user ask for something and get an answer, one at a time. Not thread-safe. A resource.
class control_door {
public:
  /// Opens the door in `folder`, which is there. Throws std::runtime_error where it cannot.
  explicit control_door(const std::filesystem::path& folder);

  control_door(const control_door&) = delete;
  control_door& operator=(const control_door&) = delete;

  /// Returns what can be read from when somebody waits, for poll(2).
  int descriptor() const { return socket_.descriptor(); }

  /// Lets the one who waits in, reads what is asked and sends what `answer` makes of it; somebody
  /// who says nothing is sent away after a second. Does nothing where nobody waits.
  void serve(const std::function<std::string(const std::string&)>& answer) const;

private:
  cluster::socket_owner socket_;
};

/// Asks the keeper of the playground in `folder` and waits for its answer, for at most two minutes.
/// Throws std::runtime_error where there is no keeper, or it gives none.
std::string ask_keeper(const std::filesystem::path& folder, const std::string& question);

} // namespace fly::local
