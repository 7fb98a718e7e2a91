#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <caf/expected.hpp>

#include "fly/cluster/address.hpp"

namespace fly::cluster {

/// One machine as `vms.<app>.internal` names it.
struct machine {
  std::string id{};
  std::string region{};

  friend auto operator<=>(const machine&, const machine&) = default;
};

/// Reads the text of `vms.<app>.internal`, "148e21dad76789 sea,4d89699c030518 ams" (Fly's DNS).
/// Empty text is an empty list. Errors: errc::dns_failed, quoting what cannot be read.
caf::expected<std::vector<machine>> parse_machines(std::string_view text);

/// Damps what the name servers say, so that a name server in trouble does not take the cluster
/// apart: a failed or empty answer changes nothing, and an address that a good answer lacks stays
/// for some more good answers. One for each name that is asked for. A pure value.
class damped_answers {
public:
  /// Good answers without an address before it is forgotten.
  static constexpr int misses_max = 3;

  /// Takes an answer. Returns whether `values()` has changed.
  bool take(const caf::expected<std::vector<std::string>>& answer);

  /// Returns what holds now, sorted.
  std::vector<std::string> values() const;

private:
  std::map<std::string, int> misses_; // by value: good answers in a row without it
};

/// What is to be asked, and the addresses that come of it: fixed peers by number, fixed peers by
/// name, and the cluster's own name. A pure value.
class discovery {
public:
  /// One name to look up; its addresses get `port`.
  struct question {
    std::string name{};
    std::uint16_t port = 0;
  };

  /// `peers` as options.hpp has them, already validated; `name` may be empty. `port` goes with
  /// names that bring none.
  discovery(const std::vector<std::string>& peers, const std::string& name, std::uint16_t port);

  /// Returns the names to look up, each once.
  const std::vector<question>& questions() const noexcept { return questions_; }

  /// Takes the answer to `questions()[index]`: numeric addresses without port.
  void take(std::size_t index, const caf::expected<std::vector<std::string>>& answer);

  /// Takes the text of `vms.<name>`; one that cannot be read keeps the last good one.
  /// Returns the error of an answer that failed or cannot be read.
  caf::error take_machines(const caf::expected<std::string>& text);

  /// Returns all addresses, "127.0.0.2:4370", sorted, each once.
  std::vector<std::string> addresses() const;

  /// Returns the machines of the last good answer.
  const std::vector<machine>& machines() const noexcept { return machines_; }

private:
  std::vector<std::string> fixed_;
  std::vector<question> questions_;
  std::vector<damped_answers> answers_; // one for each question
  std::vector<machine> machines_;
};

} // namespace fly::cluster
