#include "fly/rpc/letter.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <caf/atom.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"

namespace fly::rpc {

namespace {

constexpr std::uint8_t flag_urgent = 1;
constexpr std::uint8_t status_content = 0;
constexpr std::uint8_t status_failed = 1;

caf::error malformed(std::string_view what) {
  return make_error(errc::malformed_frame, "a malformed " + std::string{what} + " frame");
}

bool is_ours(const caf::error& reason) {
  return reason && reason.category() == make_error(errc::timeout).category();
}

std::string_view cut(std::string_view text) {
  return text.substr(0, reason_bytes_max);
}

/// What an error says beside its code. Of other categories than ours: its context as text.
std::string text_for(const caf::error& reason) {
  if (is_ours(reason))
    return text_of(reason);
  const auto& context = reason.context();
  if (context.size() == 1 && context.match_element<std::string>(0))
    return context.get_as<std::string>(0);
  return context.empty() ? std::string{} : caf::to_string(context);
}

/// Errors of every category travel: u64 category (CAF's atom), u8 code, text, u8 count, details. No
/// error, as of a normal end, is all zeros.
void write_error(cluster::wire_writer& out, const caf::error& reason) {
  if (!reason) {
    out.number(std::uint64_t{0}).number(std::uint8_t{0}).text({}).number(std::uint8_t{0});
    return;
  }
  out.number(static_cast<std::uint64_t>(reason.category()))
      .number(static_cast<std::uint8_t>(reason.code()))
      .text(cut(text_for(reason)));
  auto details = details_of(reason);
  auto count = std::min(details.size(), reason_details_max);
  out.number(static_cast<std::uint8_t>(count));
  for (auto each = details.begin(); count > 0; ++each, --count)
    out.text(cut(each->first)).text(cut(each->second));
}

caf::error read_error(cluster::wire_reader& in) {
  caf::atom_value category{in.number<std::uint64_t>()};
  auto code = in.number<std::uint8_t>();
  std::string text{cut(in.text())};
  error_details details;
  auto count = in.number<std::uint8_t>();
  for (std::uint8_t i = 0; i < count && in.ok(); ++i) {
    std::string key{cut(in.text())};
    details.insert_or_assign(std::move(key), std::string{cut(in.text())});
  }
  if (code == 0)
    return {};
  if (category == make_error(errc::timeout).category())
    return make_error(static_cast<errc>(code), std::move(text), std::move(details));
  if (text.empty())
    return caf::error{code, category};
  return caf::error{code, category, caf::make_message(std::move(text))};
}

} // namespace

std::vector<char> head_of(const attach_message& message) {
  return cluster::wire_writer{}.number(message.publication).take();
}

std::vector<char> head_of(const letter_message& message) {
  return cluster::wire_writer{}
      .number(message.publication)
      .number(message.request)
      .number(message.urgent ? flag_urgent : std::uint8_t{0})
      .take();
}

std::vector<char> head_of(const reply_message& message) {
  cluster::wire_writer out;
  out.number(message.publication).number(message.request);
  out.number(message.failed ? status_failed : status_content);
  if (message.failed)
    write_error(out, message.reason);
  return out.take();
}

std::vector<char> head_of(const ended_message& message) {
  cluster::wire_writer out;
  write_error(out.number(message.publication), message.reason);
  return out.take();
}

caf::expected<attach_message> parse_attach(std::span<const std::byte> payload) {
  cluster::wire_reader in{payload};
  attach_message message{in.number<std::uint64_t>()};
  if (!in.ok() || message.publication == 0)
    return malformed("attach");
  return message;
}

caf::expected<letter_message> parse_letter(std::span<const std::byte> payload) {
  cluster::wire_reader in{payload};
  letter_message message;
  message.publication = in.number<std::uint64_t>();
  message.request = in.number<std::uint64_t>();
  message.urgent = (in.number<std::uint8_t>() & flag_urgent) != 0; // others: later versions
  if (!in.ok() || message.publication == 0 || message.request > request_max)
    return malformed("letter");
  message.content = in.rest();
  return message;
}

caf::expected<reply_message> parse_reply(std::span<const std::byte> payload) {
  cluster::wire_reader in{payload};
  reply_message message;
  message.publication = in.number<std::uint64_t>();
  message.request = in.number<std::uint64_t>();
  auto status = in.number<std::uint8_t>();
  message.failed = status == status_failed;
  if (message.failed)
    message.reason = read_error(in);
  if (!in.ok() || status > status_failed || message.request == 0 || message.request > request_max)
    return malformed("reply");
  if (!message.failed)
    message.content = in.rest();
  return message;
}

caf::expected<ended_message> parse_ended(std::span<const std::byte> payload) {
  cluster::wire_reader in{payload};
  ended_message message{in.number<std::uint64_t>(), {}};
  message.reason = read_error(in);
  if (!in.ok() || message.publication == 0)
    return malformed("ended");
  return message;
}

} // namespace fly::rpc
