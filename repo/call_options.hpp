#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "fly/repo/level.hpp"
#include "fly/repo/read_report.hpp"
#include "fly/repo/session.hpp"

namespace fly::repo {

/// What a caller may say of one call.
struct call_options {
  /// Longest time in all: to the primary, in the transaction, and until the local database has it;
  /// or for one read. 1 ms to a day.
  std::chrono::milliseconds timeout{5000};
  /// Makes a write happen once: of all writes with this key, from any node and after any failure,
  /// one is committed, and each gets its result. 1 to 200 bytes of printable ASCII: an empty one is
  /// an error, not none. Remembered for `options::key_lifetime`. Reads have no use for it.
  std::optional<std::string> key{};
  /// Gives each write that has no key one of its own, so that fly itself may try again where it is
  /// not known whether a copy was committed.
  bool once = false;
  /// Whether a write waits until the local database has it. Without: it returns once it is
  /// committed, and `position()` says what to wait for.
  bool await = true;
  /// How fresh a read is at least. Nothing: `session` where there is one, else `eventual`.
  std::optional<fly::repo::level> level{};
  /// Whose reads and writes these are: all of them are noted in it.
  std::optional<fly::repo::session> session{};
  /// What becomes of a read where the local database is late, or does not answer.
  fly::repo::otherwise otherwise = fly::repo::otherwise::wait;
  /// How long a read waits for the local database before it goes elsewhere, 0 ms to a day.
  std::chrono::milliseconds patience{100};
  /// Takes where each read was done; of several the last one that succeeded. Outlives the calls,
  /// which are made one after the other. Null: nobody wants to know.
  read_report* report = nullptr;
};

} // namespace fly::repo
