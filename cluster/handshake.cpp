#include "fly/cluster/handshake.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"

namespace fly::cluster {

namespace {

std::vector<char> frame_of(frame_kind kind, std::span<const std::byte> payload) {
  std::vector<char> result;
  append_frame(result, kind, payload);
  return result;
}

} // namespace

std::string_view to_string(refusal why) noexcept {
  switch (why) {
  case refusal::wrong_cluster:
    return "wrong cluster name";
  case refusal::no_common_version:
    return "no common version of the wire format";
  case refusal::wrong_secret:
    return "wrong secret";
  case refusal::same_id:
    return "same machine id";
  case refusal::duplicate:
    return "another connection stays";
  case refusal::stale:
    return "a later start of the same machine is known";
  case refusal::wrong_certificate:
    return "its certificate is for another cluster, region or machine";
  }
  return "unknown reason";
}

std::vector<char> refuse_frame(refusal why) {
  wire_writer out;
  out.number(why);
  return frame_of(frame_kind::refuse, out.bytes());
}

handshake::handshake(side which, std::shared_ptr<const identity> self, const nonce& random)
    : self_(std::move(self)), side_(which) {
  mine_.version_min = self_->version_min;
  mine_.version_max = self_->version_max;
  mine_.has_secret = !self_->secret.empty();
  mine_.nonce = random;
  mine_.cluster = self_->cluster;
  mine_.who = self_->self;
  my_bytes_ = encode(mine_);
}

std::vector<char> handshake::begin() const {
  return side_ == side::dialler ? frame_of(frame_kind::hello, bytes_of(my_bytes_))
                                : std::vector<char>{};
}

std::uint8_t handshake::version() const noexcept {
  return std::min(mine_.version_max, theirs_.version_max);
}

void handshake::bind(std::span<const std::byte> binding) {
  binding_.assign(binding.begin(), binding.end());
}

handshake::step handshake::on_frame(const frame& received) {
  if (received.kind == frame_kind::refuse && side_ == side::dialler && state_ != state::done) {
    wire_reader in{received.payload};
    auto why = in.number<refusal>();
    auto result = fail(
        make_error(errc::handshake_failed, "the peer refused: " + std::string{to_string(why)}));
    result.is_duplicate = why == refusal::duplicate;
    return result;
  }
  if (received.kind == frame_kind::hello && state_ == state::hello)
    return on_hello(received.payload);
  if (received.kind == frame_kind::proof && state_ == state::proof)
    return on_proof(received.payload);
  if (received.kind == frame_kind::welcome && state_ == state::welcome)
    return on_welcome(received.payload);
  return fail(make_error(errc::malformed_frame,
                         "a frame of kind " + std::to_string(static_cast<int>(received.kind)) +
                             " out of turn"));
}

handshake::step handshake::on_hello(std::span<const std::byte> payload) {
  auto decoded = decode_hello(payload);
  if (!decoded)
    return fail(decoded.error());
  theirs_ = std::move(*decoded);
  auto first = reinterpret_cast<const char*>(payload.data());
  their_bytes_.assign(first, first + payload.size());
  if (theirs_.cluster != mine_.cluster)
    return fail(refusal::wrong_cluster,
                "'" + theirs_.cluster + "' instead of '" + mine_.cluster + "'");
  if (version() < std::max(mine_.version_min, theirs_.version_min))
    return fail(refusal::no_common_version,
                std::to_string(theirs_.version_min) + " to " + std::to_string(theirs_.version_max));
  if (same_process(theirs_.who, mine_.who)) {
    state_ = state::done;
    return {.what = event::own};
  }
  if (theirs_.who.id == mine_.who.id)
    return fail(refusal::same_id, "'" + theirs_.who.id + "'");
  if (theirs_.has_secret != mine_.has_secret)
    return fail(refusal::wrong_secret,
                theirs_.has_secret ? "only the peer has one" : "the peer has none");
  if (side_ == side::dialler) {
    state_ = state::asked;
    return {.what = event::peer_known};
  }
  state_ = state::proof;
  return {.what = event::wait, .reply = frame_of(frame_kind::hello, bytes_of(my_bytes_))};
}

handshake::step handshake::on_proof(std::span<const std::byte> payload) {
  proved_also_ = !self_->secret_also.empty() &&
                 same_proof(prove_as(proof_role::dialler, self_->secret_also), payload);
  if (!proved_also_ && !same_proof(prove_as(proof_role::dialler, self_->secret), payload))
    return fail(refusal::wrong_secret, "the proof does not match");
  state_ = state::asked;
  return {.what = event::proved};
}

handshake::step handshake::on_welcome(std::span<const std::byte> payload) {
  if (!same_proof(prove_as(proof_role::acceptor, self_->secret), payload))
    return fail(make_error(errc::handshake_failed, "wrong secret: the acceptor's proof does not "
                                                   "match"));
  state_ = state::done;
  return {.what = event::established};
}

std::vector<char> handshake::proof_frame() {
  assert(side_ == side::dialler);
  assert(state_ == state::asked);
  state_ = state::welcome;
  return frame_of(frame_kind::proof, prove_as(proof_role::dialler, self_->secret));
}

std::vector<char> handshake::welcome_frame() {
  assert(side_ == side::acceptor);
  assert(state_ == state::asked);
  state_ = state::done;
  const auto& shared = proved_also_ ? self_->secret_also : self_->secret;
  return frame_of(frame_kind::welcome, prove_as(proof_role::acceptor, shared));
}

proof handshake::prove_as(proof_role role, const std::string& secret) const {
  if (side_ == side::dialler)
    return prove(role, secret, mine_, bytes_of(my_bytes_), theirs_, bytes_of(their_bytes_),
                 binding_);
  return prove(role, secret, theirs_, bytes_of(their_bytes_), mine_, bytes_of(my_bytes_), binding_);
}

handshake::step handshake::fail(refusal why, const std::string& detail) {
  auto result =
      fail(make_error(errc::handshake_failed, std::string{to_string(why)} + ": " + detail));
  if (side_ == side::acceptor) // the dialler just closes: the acceptor has nothing to repair
    result.reply = refuse_frame(why);
  return result;
}

handshake::step handshake::fail(caf::error reason) {
  state_ = state::done;
  return {.what = event::failed, .reason = std::move(reason)};
}

} // namespace fly::cluster
