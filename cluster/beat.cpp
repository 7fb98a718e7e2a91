#include "fly/cluster/beat.hpp"

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"

namespace fly::cluster {

namespace {

constexpr std::size_t reason_bytes_max = 1024;

} // namespace

std::vector<char> encode(const beat& value) {
  const auto& database = value.database;
  wire_writer out;
  out.number(value.sent_us)
      .number(value.echo_us)
      .number(value.held_us)
      .number(value.load)
      .number(database.role)
      .number(database.system)
      .number(database.timeline)
      .number(database.lsn)
      .number(static_cast<std::int64_t>(database.lag.count()))
      .text(std::string_view{database.reason}.substr(0, reason_bytes_max))
      .number(database.server)
      .number(database.lease.timeline)
      .number(database.lease.counter)
      .number(static_cast<std::uint8_t>(database.leads));
  return out.take();
}

caf::expected<beat> decode_beat(std::span<const std::byte> payload) {
  wire_reader in{payload};
  beat result;
  result.sent_us = in.number<std::uint64_t>();
  result.echo_us = in.number<std::uint64_t>();
  result.held_us = in.number<std::uint64_t>();
  result.load = in.number<std::uint32_t>();
  auto role = in.number<std::uint8_t>();
  result.database.role = role <= static_cast<std::uint8_t>(claim::role::primary)
                             ? static_cast<enum claim::role>(role)
                             : claim::role::unknown;
  result.database.system = in.number<std::uint64_t>();
  result.database.timeline = in.number<std::uint32_t>();
  result.database.lsn = in.number<std::uint64_t>();
  result.database.lag = std::chrono::microseconds{in.number<std::int64_t>()};
  result.database.reason = in.text();
  if (in.ok() && !in.rest().empty()) // not sent by the first version
    result.database.server = in.number<std::uint64_t>();
  if (in.ok() && !in.rest().empty()) { // nor this
    result.database.lease.timeline = in.number<std::uint32_t>();
    result.database.lease.counter = in.number<std::uint64_t>();
    result.database.leads = in.number<std::uint8_t>() == 1;
  }
  if (!in.ok() || result.database.reason.size() > reason_bytes_max)
    return make_error(errc::malformed_frame, "a heartbeat that ends too early, or is too long");
  return result;
}

} // namespace fly::cluster
