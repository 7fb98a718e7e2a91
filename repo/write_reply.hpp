#pragma once

#include <chrono>
#include <span>
#include <string>

#include <caf/expected.hpp>

#include "fly/repo/position.hpp"
#include "fly/rpc/function.hpp"
#include "fly/rpc/type_text.hpp"

namespace fly::repo {

/// What a write's answer says before the function's result.
struct write_reply {
  position where;
  /// Time in the transaction.
  std::chrono::microseconds took{0};
  /// Whether the write ran on the node that asked.
  bool ran_here = false;
  /// Whether an earlier write of the same key had this result, and nothing ran now.
  bool repeated = false;
};

/// Encodes an answer: position, microseconds, ran_here, repeated, then `value` as it is. Errors: as
/// `rpc::encode`.
caf::expected<rpc::bytes> encode_reply(const write_reply& head, const rpc::bytes& value);

/// Decodes the head of an answer; `value` is what follows, inside of `encoded`.
/// Errors: errc::malformed_result.
caf::expected<write_reply> decode_reply(std::span<const char> encoded,
                                        std::span<const char>& value);

namespace detail {

template <class R>
struct reply_type {
  using type = std::tuple<std::string, std::int64_t, bool, bool, R>;
};

template <>
struct reply_type<void> {
  using type = std::tuple<std::string, std::int64_t, bool, bool>;
};

} // namespace detail

/// Takes the key off the front of a write's arguments, which become what follows; empty for none.
/// Errors: errc::malformed_arguments.
caf::expected<std::string> take_key(std::span<const char>& arguments);

/// Returns the signature of a write: it describes the arguments with the key before them, the
/// answer whole, and ends with the mark "write", so that no function passes for one:
/// "(str,i32)->(str,i64,bool,bool,i32) write".
template <class R, class... Args>
const rpc::signature& write_signature() {
  using reply = typename detail::reply_type<R>::type;
  static const rpc::signature built{rpc::signature_of<reply(std::string, Args...)>().text +
                                    " write"};
  return built;
}

/// Returns `reason`, which a result gave that cannot be decoded, as that of a committed write: its
/// text and the detail "committed" say so.
caf::error but_committed(const caf::error& reason);

} // namespace fly::repo
