#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

namespace fly::cluster {

/// What a frame is. Kinds below `first_user` belong to this floor, the others to the floors above.
/// The numbers cross the wire (docs/wire.md): never renumber.
enum class frame_kind : std::uint8_t {
  hello = 1,
  proof = 2,
  welcome = 3,
  refuse = 4,
  beat = 5,
  services = 6,
  goodbye = 7,
  first_user = 16,
};

/// Bytes before the payload: length (4) and kind (1).
inline constexpr std::size_t frame_head_bytes = 5;

/// One frame as it was read; the payload belongs to the parser or to what was fed to it.
struct frame {
  frame_kind kind;
  std::span<const std::byte> payload;
};

/// Appends a frame with the payload `head` + `body` to `out`. The caller has checked the bound.
void append_frame(std::vector<char>& out, frame_kind kind, std::span<const std::byte> head,
                  std::span<const std::byte> body = {});

/// The same without the body, of `body_bytes`, which is to follow.
void append_frame_begin(std::vector<char>& out, frame_kind kind, std::span<const std::byte> head,
                        std::size_t body_bytes);

/// Returns the frame that `bytes` begin with; nothing where they are not all of it. Errors:
/// errc::malformed_frame (length 0) and errc::frame_too_large (kind and payload).
caf::expected<std::optional<frame>> first_frame(std::span<const std::byte> bytes,
                                                std::size_t frame_bytes_max);

/// Cuts a stream of bytes into frames: u32 length of what follows (big-endian), u8 kind, payload.
/// Keeps at most one incomplete frame. A pure value; not safe to share between threads.
class frame_parser {
public:
  /// Frames whose kind and payload are longer than `frame_bytes_max` are malformed.
  explicit frame_parser(std::size_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {}

  /// Gives the next bytes of the stream. They must stay unchanged until `next()` has returned
  /// nothing or an error; feed no more before that.
  void feed(std::span<const std::byte> bytes);

  /// Returns the next whole frame, valid until the next call; nothing where more bytes are needed.
  /// Errors: errc::malformed_frame (length 0) and errc::frame_too_large; the stream cannot be read
  /// on after either, and every further call returns the error again.
  caf::expected<std::optional<frame>> next();

  /// Changes the bound for the frames that have not begun yet.
  void limit(std::size_t frame_bytes_max) noexcept { frame_bytes_max_ = frame_bytes_max; }

  /// Returns whether everything that was fed has been looked at.
  bool is_drained() const noexcept { return fed_.empty(); }

  /// Returns whether the next byte of the stream is the first one of a frame.
  bool is_between_frames() const noexcept {
    return fed_.empty() && (partial_.empty() || partial_is_out_);
  }

private:
  std::size_t frame_bytes_max_;
  std::vector<std::byte> partial_; // the beginning of one frame
  std::span<const std::byte> fed_; // not yet looked at
  bool partial_is_out_ = false;    // partial_ is a whole frame that next() has returned
  caf::error broken_;
};

} // namespace fly::cluster
