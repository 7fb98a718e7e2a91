// Proves who gets through the handshake, and that nothing else does: wrong names, versions,
// secrets, frames out of turn, changed bytes, and proofs that are reflected or replayed.
#include "fly/cluster/handshake.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"

using namespace fly::cluster;
using fly::errc;

namespace {

using event = handshake::event;
using side = handshake::side;

identity who(const std::string& id, const std::string& secret = "s") {
  member self{.id = id, .incarnation = 5, .region = "syd", .address = "127.0.0.1:1"};
  return {.self = self, .cluster = "shop", .secret = secret};
}

nonce nonce_of(char c) {
  nonce result;
  result.fill(static_cast<std::byte>(c));
  return result;
}

handshake talk(side which, const identity& self, char random = 'r') {
  return {which, std::make_shared<const identity>(self), nonce_of(random)};
}

frame read(const std::vector<char>& bytes) {
  REQUIRE(bytes.size() >= frame_head_bytes);
  return {static_cast<frame_kind>(bytes[4]), bytes_of(bytes).subspan(frame_head_bytes)};
}

/// What became of both sides, each as if its owner always went on.
struct outcome {
  event dialler = event::wait;
  event acceptor = event::wait;
  std::string dialler_reason;
  std::string acceptor_reason;
  friend bool operator==(const outcome&, const outcome&) = default;
};

/// Runs a handshake; `change` may change each frame on its way.
template <class Change>
outcome run(handshake dialler, handshake acceptor, Change change) {
  outcome result;
  auto bytes = dialler.begin();
  bool to_acceptor = true;
  while (!bytes.empty()) {
    change(bytes);
    auto& receiver = to_acceptor ? acceptor : dialler;
    auto step = receiver.on_frame(read(bytes));
    (to_acceptor ? result.acceptor : result.dialler) = step.what;
    if (step.what == event::failed)
      (to_acceptor ? result.acceptor_reason : result.dialler_reason) = fly::text_of(step.reason);
    bytes = step.reply;
    if (step.what == event::peer_known)
      bytes = dialler.proof_frame();
    if (step.what == event::proved)
      bytes = acceptor.welcome_frame();
    to_acceptor = !to_acceptor;
  }
  return result;
}

outcome run(const identity& dialler, const identity& acceptor) {
  return run(talk(side::dialler, dialler, 'd'), talk(side::acceptor, acceptor, 'a'),
             [](std::vector<char>&) {});
}

const outcome through{event::established, event::proved, "", ""};

} // namespace

TEST_CASE("two nodes with one secret, or both without, get through") {
  CHECK(run(who("a"), who("b")) == through);
  CHECK(run(who("a", ""), who("b", "")) == through);
}

TEST_CASE("both sides learn who the other is") {
  auto dialler = talk(side::dialler, who("a"));
  auto acceptor = talk(side::acceptor, who("b"));

  auto step = acceptor.on_frame(read(dialler.begin()));
  dialler.on_frame(read(step.reply));

  CHECK(dialler.peer() == who("b").self);
  CHECK(acceptor.peer() == who("a").self);
  CHECK(acceptor.begin().empty());
  CHECK(dialler.version() == wire_version_max);
}

TEST_CASE("a wrong or missing secret is refused with a reason on both sides") {
  auto wrong = run(who("a", "x"), who("b", "y"));
  CHECK(wrong.acceptor == event::failed);
  CHECK(wrong.dialler == event::failed);
  CHECK(wrong.acceptor_reason.find("wrong secret") == 0);
  CHECK(wrong.dialler_reason.find("wrong secret") != std::string::npos);
  CHECK(run(who("a", ""), who("b", "y")).acceptor_reason.find("the peer has none") !=
        std::string::npos);
  CHECK(run(who("a", "x"), who("b", "")).acceptor_reason.find("only the peer") !=
        std::string::npos);
}

TEST_CASE("while the secret is changed a second one is taken, and neighbours in time get through") {
  auto with = [](const std::string& id, const std::string& secret, const std::string& also) {
    auto result = who(id, secret);
    result.secret_also = also;
    return result;
  };
  const std::pair<std::string, std::string> steps[] = {
      {"old", ""}, {"old", "new"}, {"new", "old"}, {"new", ""}};
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      auto a = with("a", steps[i].first, steps[i].second);
      auto b = with("b", steps[j].first, steps[j].second);
      if (std::abs(i - j) <= 1)
        CHECK(run(a, b) == through);
    }
  CHECK(run(with("a", "old", ""), with("b", "new", "")).acceptor == event::failed);
  CHECK(run(with("a", "old", ""), with("b", "new", "other")).acceptor == event::failed);
  CHECK(run(with("a", "", ""), with("b", "new", "")).acceptor == event::failed);
}

TEST_CASE("another cluster is refused and told so") {
  auto other = who("b");
  other.cluster = "bank";

  auto result = run(who("a"), other);

  CHECK(result.acceptor == event::failed);
  CHECK(result.dialler_reason == "the peer refused: wrong cluster name");
}

TEST_CASE("versions meet where the ranges overlap") {
  auto speaks = [](const char* id, int min, int max) {
    auto result = who(id);
    result.version_min = static_cast<std::uint8_t>(min);
    result.version_max = static_cast<std::uint8_t>(max);
    return result;
  };

  CHECK(run(speaks("a", 1, 3), speaks("b", 3, 9)) == through);
  CHECK(run(speaks("a", 1, 2), speaks("b", 3, 9)).acceptor == event::failed);
  CHECK(run(speaks("a", 4, 9), speaks("b", 1, 3)).dialler_reason.find("no common version") !=
        std::string::npos);
}

TEST_CASE("this very process is known by its incarnation, another one with its id is refused") {
  auto self = who("a");
  auto twin = who("a");
  twin.self.incarnation = 6;

  auto own = run(self, self);
  CHECK(own.acceptor == event::own);
  CHECK(own.dialler == event::wait); // not a byte came back
  CHECK(run(self, twin).dialler_reason == "the peer refused: same machine id");
}

TEST_CASE("every changed byte of every frame keeps both from getting through") {
  auto dialler = talk(side::dialler, who("a"), 'd');
  auto acceptor = talk(side::acceptor, who("b"), 'a');
  for (int which = 0; which < 4; ++which)
    for (std::size_t at = 0;; ++at) {
      int number = 0;
      bool changed = false;
      auto result = run(dialler, acceptor, [&](std::vector<char>& bytes) {
        if (number++ != which || frame_head_bytes + at >= bytes.size())
          return;
        bytes[frame_head_bytes + at] ^= 1;
        changed = true;
      });
      if (!changed)
        break;
      CAPTURE(which);
      CAPTURE(at);
      CHECK(result.dialler != event::established);
      // A change of the welcome alone comes after the dialler's proof.
      CHECK((which == 3 || result.acceptor != event::proved));
    }
}

TEST_CASE("a bent version range is noticed though both ranges would do") {
  auto new_one = who("a");
  new_one.version_max = 2;
  auto acceptor = who("b");
  acceptor.version_max = 2;
  int number = 0;

  auto result = run(talk(side::dialler, new_one, 'd'), talk(side::acceptor, acceptor, 'a'),
                    [&](std::vector<char>& bytes) {
                      if (number++ == 0)
                        bytes[frame_head_bytes + 5] = 1; // version_max, after magic and min
                    });

  CHECK(result.acceptor == event::failed);
}

TEST_CASE("the dialler's own proof sent back to it is refused") {
  auto dialler = talk(side::dialler, who("a"), 'd');
  auto acceptor = talk(side::acceptor, who("b"), 'a');
  dialler.on_frame(read(acceptor.on_frame(read(dialler.begin())).reply));
  auto proof = dialler.proof_frame();
  proof[4] = static_cast<char>(frame_kind::welcome);

  CHECK(dialler.on_frame(read(proof)).what == event::failed);
}

TEST_CASE("the dialler's own hello sent back to it leads nowhere") {
  auto dialler = talk(side::dialler, who("a"), 'd');

  CHECK(dialler.on_frame(read(dialler.begin())).what == event::own);
}

TEST_CASE("a proof of an earlier handshake is worth nothing") {
  auto record = [](char dialler_random, char acceptor_random) {
    auto dialler = talk(side::dialler, who("a"), dialler_random);
    auto acceptor = talk(side::acceptor, who("b"), acceptor_random);
    dialler.on_frame(read(acceptor.on_frame(read(dialler.begin())).reply));
    return std::pair{dialler.proof_frame(), acceptor};
  };
  auto [proof, unused] = record('d', 'a');
  auto [other, acceptor] = record('d', 'b'); // the dialler is replayed whole

  CHECK(acceptor.on_frame(read(proof)).what == event::failed);
}

TEST_CASE("each frame out of turn ends the handshake") {
  for (auto which : {side::dialler, side::acceptor})
    for (int kind = 0; kind < 256; ++kind) {
      if (kind == static_cast<int>(frame_kind::hello))
        continue;
      auto fresh = talk(which, who("a"));
      CHECK(fresh.on_frame({static_cast<frame_kind>(kind), {}}).what == event::failed);
      CHECK(fresh.on_frame(read(talk(side::dialler, who("b")).begin())).what == event::failed);
    }
}

TEST_CASE("each shortened hello, and each with a field that cannot be, is malformed") {
  hello value{.cluster = "shop", .who = who("a").self};
  auto bytes = encode(value);
  CHECK(*decode_hello(bytes_of(bytes)) == value);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(decode_hello(bytes_of(bytes).first(size)));
  bytes.push_back('!'); // a later version
  CHECK(*decode_hello(bytes_of(bytes)) == value);

  auto refused = [&](auto change) {
    auto bad = value;
    change(bad);
    auto decoded = decode_hello(bytes_of(encode(bad)));
    return !decoded && decoded.error() == errc::malformed_frame;
  };
  CHECK(refused([](hello& h) { h.who.id = ""; }));
  CHECK(refused([](hello& h) { h.who.region = ""; }));
  CHECK(refused([](hello& h) { h.who.id = "line\nbreak"; }));
  CHECK(refused([](hello& h) { h.who.version = "\x1b[2J"; }));
  CHECK(refused([](hello& h) { h.cluster = std::string(513, 'x'); }));
  CHECK(refused([](hello& h) { h.version_min = 0; }));
  CHECK(refused([](hello& h) { h.version_min = 2; }));
}

TEST_CASE("a duplicate is told apart from what is wrong") {
  for (auto why : {refusal::duplicate, refusal::stale, refusal::wrong_secret}) {
    auto dialler = talk(side::dialler, who("a"));

    auto step = dialler.on_frame(read(refuse_frame(why)));

    CHECK(step.what == event::failed);
    CHECK(step.reason == errc::handshake_failed);
    CHECK(step.is_duplicate == (why == refusal::duplicate));
  }
  auto dialler = talk(side::dialler, who("a"));
  std::vector<char> unknown;
  append_frame(unknown, frame_kind::refuse, bytes_of("\x63"));
  CHECK(fly::text_of(dialler.on_frame(read(unknown)).reason) == "the peer refused: unknown reason");
}

TEST_CASE("proofs are compared whole") {
  proof mine;
  mine.fill(std::byte{7});
  auto other = mine;

  CHECK(same_proof(mine, other));
  other.back() = std::byte{8};
  CHECK_FALSE(same_proof(mine, other));
  CHECK_FALSE(same_proof(mine, std::span{mine}.first(31)));
  CHECK_FALSE(same_proof(mine, {}));
}
