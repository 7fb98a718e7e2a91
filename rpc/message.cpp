#include "fly/rpc/message.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"
#include "fly/rpc/traceparent.hpp"

namespace fly::rpc {

namespace {

constexpr std::uint8_t flag_primary_only = 1;
constexpr std::uint8_t flag_timed = 2;
constexpr std::uint8_t flag_traced = 4;
constexpr std::uint8_t flag_cast = 8;
/// Stands in the place of an answer's status where parts come before it; never an errc's number.
constexpr std::uint8_t parts_come_first = 255;

caf::error malformed(std::string_view what) {
  return make_error(errc::malformed_frame, "a malformed " + std::string{what} + " frame");
}

void write_parts(cluster::wire_writer& out, const call_parts& parts) {
  out.number(static_cast<std::uint8_t>(parts.all().size()));
  for (const auto& [name, took] : parts.all())
    out.text(name).number(static_cast<std::uint64_t>(took.count()));
}

call_parts read_parts(cluster::wire_reader& in) {
  call_parts result;
  auto count = in.number<std::uint8_t>();
  for (std::uint8_t i = 0; i < count && in.ok(); ++i) {
    std::string name{in.text()};
    auto took = std::min(in.number<std::uint64_t>(), static_cast<std::uint64_t>(part_max.count()));
    if (in.ok())
      result.add(name, std::chrono::microseconds{took});
  }
  return result;
}

} // namespace

bool is_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= name_bytes_max &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

caf::error check_name(std::string_view name) {
  if (is_name(name))
    return {};
  return make_error(errc::invalid_argument,
                    "the name of a function has 1 to 200 printable characters without spaces; "
                    "this one is \"" +
                        std::string{name.substr(0, 80)} + "\"");
}

std::vector<char> head_of(const call_message& message) {
  cluster::wire_writer out;
  auto budget = std::clamp(message.budget, std::chrono::microseconds{0}, budget_max);
  out.number(message.id)
      .number(message.fingerprint)
      .number(static_cast<std::uint64_t>(budget.count()))
      .number(static_cast<std::uint8_t>(
          (message.primary_only ? flag_primary_only : 0) | (message.timed ? flag_timed : 0) |
          (message.trace.empty() ? 0 : flag_traced) | (message.cast ? flag_cast : 0)))
      .text(message.name);
  if (!message.trace.empty())
    out.text(message.trace);
  return out.take();
}

std::vector<char> head_of(const answer_message& message) {
  cluster::wire_writer out;
  out.number(message.id);
  if (!message.parts.all().empty())
    write_parts(out.number(parts_come_first), message.parts);
  if (!message.reason)
    return out.number(std::uint8_t{0}).take();
  out.number(code_of(message.reason)).text(text_of(message.reason));
  auto details = details_of(message.reason);
  out.number(static_cast<std::uint32_t>(details.size()));
  for (const auto& [key, value] : details)
    out.text(key).text(value);
  return out.take();
}

std::array<std::byte, 9> result_head(std::uint64_t id) noexcept {
  std::array<std::byte, 9> result{}; // the last one: no error
  for (std::size_t i = 8; i > 0; --i, id >>= 8)
    result[i - 1] = static_cast<std::byte>(id & 0xff);
  return result;
}

std::vector<char> head_of(const cancel_message& message) {
  return cluster::wire_writer{}.number(message.id).take();
}

caf::expected<call_message> parse_call(std::span<const std::byte> payload) {
  cluster::wire_reader in{payload};
  call_message message;
  message.id = in.number<std::uint64_t>();
  message.fingerprint = in.number<std::uint64_t>();
  auto budget = in.number<std::uint64_t>();
  message.budget =
      std::chrono::microseconds{std::min(budget, static_cast<std::uint64_t>(budget_max.count()))};
  auto flags = in.number<std::uint8_t>(); // unknown ones belong to later versions
  message.primary_only = (flags & flag_primary_only) != 0;
  message.timed = (flags & flag_timed) != 0;
  message.cast = (flags & flag_cast) != 0;
  message.name = in.text();
  if ((flags & flag_traced) != 0)
    message.trace = in.text();
  if (!in.ok() || message.name.empty() || message.name.size() > name_bytes_max)
    return malformed("call");
  if (!is_traceparent(message.trace))
    message.trace = {};
  message.arguments = in.rest();
  return message;
}

caf::expected<answer_message> parse_answer(std::span<const std::byte> payload) {
  cluster::wire_reader in{payload};
  answer_message message;
  message.id = in.number<std::uint64_t>();
  auto status = in.number<std::uint8_t>();
  if (status == parts_come_first) {
    message.parts = read_parts(in);
    status = in.number<std::uint8_t>();
  }
  if (!in.ok())
    return malformed("answer");
  if (status == 0) {
    message.result = in.rest();
    return message;
  }
  std::string text{in.text()};
  error_details details;
  auto count = in.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    std::string key{in.text()};
    details.insert_or_assign(std::move(key), std::string{in.text()});
  }
  if (!in.complete())
    return malformed("answer");
  message.reason = make_error(static_cast<errc>(status), std::move(text), std::move(details));
  return message;
}

bool is_answer_to(std::uint64_t id, const cluster::frame& received) noexcept {
  return received.kind == answer_frame &&
         cluster::wire_reader{received.payload}.number<std::uint64_t>() == id;
}

caf::expected<cancel_message> parse_cancel(std::span<const std::byte> payload) {
  cluster::wire_reader in{payload};
  cancel_message message{in.number<std::uint64_t>()};
  if (!in.complete())
    return malformed("cancel");
  return message;
}

} // namespace fly::rpc
