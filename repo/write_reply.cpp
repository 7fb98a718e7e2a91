#include "fly/repo/write_reply.hpp"

#include "fly/actors/error.hpp"
#include "fly/rpc/byte_stream.hpp"
#include "fly/rpc/codec.hpp"

namespace fly::repo {

caf::expected<rpc::bytes> encode_reply(const write_reply& head, const rpc::bytes& value) {
  auto result = rpc::encode(to_string(head.where), std::int64_t{head.took.count()}, head.ran_here,
                            head.repeated);
  if (result)
    result->insert(result->end(), value.begin(), value.end());
  return result;
}

caf::expected<write_reply> decode_reply(std::span<const char> encoded,
                                        std::span<const char>& value) {
  rpc::detail::byte_reader reader{encoded};
  std::size_t size = 0;
  std::span<const char> text;
  std::uint64_t took = 0;
  std::uint64_t ran_here = 0;
  std::uint64_t repeated = 0;
  if (!reader.size(size) || !reader.take(size, text) || !reader.number(took, 8) ||
      !reader.number(ran_here, 1) || ran_here > 1 || !reader.number(repeated, 1) || repeated > 1)
    return make_error(errc::malformed_result, "the answer of a write has no position");
  auto where = parse_position({text.data(), text.size()});
  if (!where)
    return make_error(errc::malformed_result, text_of(where.error()));
  value = encoded.last(reader.left());
  return write_reply{*where, std::chrono::microseconds{static_cast<std::int64_t>(took)},
                     ran_here == 1, repeated == 1};
}

caf::expected<std::string> take_key(std::span<const char>& arguments) {
  rpc::detail::byte_reader reader{arguments};
  std::size_t size = 0;
  std::span<const char> text;
  if (!reader.size(size) || !reader.take(size, text))
    return make_error(errc::malformed_arguments,
                      "the arguments of a write do not begin with a key");
  arguments = arguments.last(reader.left());
  return std::string{text.data(), text.size()};
}

caf::error but_committed(const caf::error& reason) {
  auto details = details_of(reason);
  details.emplace("committed", "yes");
  return make_error(code_of(reason), text_of(reason) + "; the write is committed",
                    std::move(details));
}

} // namespace fly::repo
