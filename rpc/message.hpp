#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/cluster/frame.hpp"
#include "fly/rpc/call_parts.hpp"
#include "fly/rpc/function.hpp"

/// The payloads of this floor's frames; docs/wire.md describes them. Numbers are big-endian.
namespace fly::rpc {

inline constexpr cluster::frame_kind call_frame{16};
inline constexpr cluster::frame_kind answer_frame{17};
inline constexpr cluster::frame_kind cancel_frame{18};

/// Longest name of a function, in bytes.
inline constexpr std::size_t name_bytes_max = 200;
/// Returns whether `name` has 1 to `name_bytes_max` printable ASCII characters and no space.
bool is_name(std::string_view name) noexcept;
/// Returns why `name` is no name of a function. Errors: errc::invalid_argument.
caf::error check_name(std::string_view name);
/// Longest time that a call may still have; longer ones are cut down to it.
inline constexpr std::chrono::microseconds budget_max = std::chrono::hours{24};
/// Longest part of a call's time that is believed; longer ones are cut down to it.
inline constexpr std::chrono::microseconds part_max = std::chrono::hours{24};

/// Stands among the functions that a member announces, and says that it reads
/// `call_message::trace`.
inline constexpr std::string_view trace_feature = "fly.takes.traceparent";

/// Asks to run a function. Read from a frame it borrows the frame's bytes.
struct call_message {
  /// Chosen by the caller, unique on its connection.
  std::uint64_t id = 0;
  /// Of the signature that the caller has; 0: none, any will do.
  std::uint64_t fingerprint = 0;
  /// What is left of the caller's time, 0 to `budget_max`.
  std::chrono::microseconds budget{0};
  /// Refuse with errc::not_primary unless the receiver is in the primary group.
  bool primary_only = false;
  /// 1 to `name_bytes_max` bytes.
  std::string_view name;
  std::span<const std::byte> arguments;
  /// Answer with the parts of the time, where the receiver knows how.
  bool timed = false;
  /// Nobody waits for an answer; a receiver that does not know the flag sends one, which is
  /// dropped.
  bool cast = false;
  /// A W3C traceparent, empty for none; only for receivers that announce `trace_feature`. Borrowed.
  std::string_view trace{};
};

/// Answers a call: the encoded result, or the error.
struct answer_message {
  std::uint64_t id = 0;
  /// Empty for a result.
  caf::error reason;
  /// Borrowed from the frame; empty with an error.
  std::span<const std::byte> result;
  /// Where the time went; only a caller that asked for it is sent any.
  call_parts parts{};
};

/// Says that nobody waits for the answer of a call any more.
struct cancel_message {
  std::uint64_t id = 0;
};

/// Returns the payload but for the arguments (or the result), which follow it in the frame.
std::vector<char> head_of(const call_message& message);
std::vector<char> head_of(const answer_message& message);
/// Returns what goes before the result of the call `id`, where that is all there is to say.
std::array<std::byte, 9> result_head(std::uint64_t id) noexcept;
std::vector<char> head_of(const cancel_message& message);

/// Read payloads. Errors: errc::malformed_frame, whatever the bytes are.
caf::expected<call_message> parse_call(std::span<const std::byte> payload);
caf::expected<answer_message> parse_answer(std::span<const std::byte> payload);
caf::expected<cancel_message> parse_cancel(std::span<const std::byte> payload);

/// Returns whether `received` is an answer to the call `id`, whatever else is in it.
bool is_answer_to(std::uint64_t id, const cluster::frame& received) noexcept;

/// Returns the characters of `part`, not copied.
inline std::span<const char> characters(std::span<const std::byte> part) noexcept {
  return {reinterpret_cast<const char*>(part.data()), part.size()};
}

} // namespace fly::rpc
