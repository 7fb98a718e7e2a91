#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/cluster/frame.hpp"

/// The payloads of the frames between the actors of two members; docs/wire.md describes them.
/// Numbers are big-endian.
namespace fly::rpc {

inline constexpr cluster::frame_kind attach_frame{19};
inline constexpr cluster::frame_kind letter_frame{20};
inline constexpr cluster::frame_kind reply_frame{21};
inline constexpr cluster::frame_kind ended_frame{22};

/// Longest text of an error that travels with an actor's end or in place of a reply, and longest
/// name or value of its details; longer ones are cut.
inline constexpr std::size_t reason_bytes_max = 4096;
/// Most details of such an error; others are left out.
inline constexpr std::size_t reason_details_max = 16;
/// Highest number of a request, as CAF counts them.
inline constexpr std::uint64_t request_max = 0x0fff'ffff'ffff'ffff;

/// Begins to speak with a published actor, and asks to be told of its end.
struct attach_message {
  /// The number that the publishing member has given it, never 0.
  std::uint64_t publication = 0;
};

/// A message to a published actor.
struct letter_message {
  std::uint64_t publication = 0;
  /// Chosen by the sender's member, unique on its connection, up to `request_max`; 0: no reply is
  /// wanted.
  std::uint64_t request = 0;
  /// Goes before those that are not.
  bool urgent = false;
  /// The values and their types (parcel.hpp). Borrowed from the frame.
  std::span<const std::byte> content;
};

/// What a published actor says to a request: a message or an error.
struct reply_message {
  std::uint64_t publication = 0;
  std::uint64_t request = 0;
  bool failed = false;
  /// Of a request that failed; may be one without a code, which CAF's actors can answer.
  caf::error reason{};
  /// Borrowed from the frame; empty with an error.
  std::span<const std::byte> content{};
};

/// Says that a published actor has ended, with its exit reason, or why it cannot be spoken with.
struct ended_message {
  std::uint64_t publication = 0;
  caf::error reason; ///< Without a code for a normal end.
};

/// Returns the payload but for the content, which follows it in the frame.
std::vector<char> head_of(const attach_message& message);
std::vector<char> head_of(const letter_message& message);
std::vector<char> head_of(const reply_message& message);
std::vector<char> head_of(const ended_message& message);

/// Read payloads. Errors: errc::malformed_frame, whatever the bytes are.
caf::expected<attach_message> parse_attach(std::span<const std::byte> payload);
caf::expected<letter_message> parse_letter(std::span<const std::byte> payload);
caf::expected<reply_message> parse_reply(std::span<const std::byte> payload);
caf::expected<ended_message> parse_ended(std::span<const std::byte> payload);

} // namespace fly::rpc
