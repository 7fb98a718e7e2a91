#include "tests/fuzz/handshake_target.hpp"

#include <memory>

#include "fly/actors/error.hpp"
#include "fly/cluster/handshake.hpp"
#include "fly/cluster/wire.hpp"
#include "tests/fuzz/expect.hpp"

namespace fly::fuzz {

namespace {

using side = cluster::handshake::side;
using event = cluster::handshake::event;

std::shared_ptr<const cluster::identity> member_of(const char* id, const char* secret) {
  return std::make_shared<const cluster::identity>(cluster::identity{
      .self = {.id = id, .incarnation = 7, .region = "syd"}, .cluster = "shop", .secret = secret});
}

/// Returns whether the handshake goes on.
bool follow(cluster::handshake& talk, const cluster::frame& received) {
  auto step = talk.on_frame(received);
  expect(step.what != event::proved && step.what != event::established,
         "nobody gets through without the secret");
  if (step.what == event::failed)
    expect(step.reason == errc::handshake_failed || step.reason == errc::malformed_frame,
           "a failed handshake has a documented error");
  if (step.what == event::peer_known)
    talk.proof_frame();
  return step.what == event::wait || step.what == event::peer_known;
}

} // namespace

void handshake(std::span<const char> input) {
  if (input.empty())
    return;
  static const auto self = member_of("syd-1", "a long secret");
  auto which = (static_cast<unsigned char>(input[0]) & 1U) == 0 ? side::acceptor : side::dialler;
  cluster::handshake talk{which, self, cluster::nonce{}};
  talk.begin();
  cluster::frame_parser parser{cluster::handshake_bytes_max};
  parser.feed(std::as_bytes(input.subspan(1)));
  for (auto next = parser.next(); next && *next; next = parser.next())
    if (!follow(talk, **next))
      return;
}

std::vector<std::string> handshake_seeds() {
  cluster::handshake talk{side::dialler, member_of("lax-1", "another secret"), cluster::nonce{}};
  auto hello = talk.begin();
  std::vector<char> proof;
  std::vector<char> welcome;
  std::string guess(32, 'p');
  cluster::append_frame(proof, cluster::frame_kind::proof, cluster::bytes_of(guess));
  cluster::append_frame(welcome, cluster::frame_kind::welcome, cluster::bytes_of(guess));
  auto refuse = cluster::refuse_frame(cluster::refusal::wrong_secret);
  auto all = [&](char way, const std::vector<char>& last) {
    return way + std::string{hello.begin(), hello.end()} + std::string{last.begin(), last.end()};
  };
  return {all('\0', proof), all('\1', welcome), all('\1', refuse)};
}

} // namespace fly::fuzz
