// Proves encryption over memory: two filters that trust each other speak, whatever the pieces that
// their bytes come in; all others are refused with a reason.
#include <algorithm>
#include <random>
#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/tls_filter.hpp"
#include "fly/cluster/wire.hpp"
#include "tests/cluster/certified.hpp"

using namespace fly::cluster;
using namespace fly::test;

namespace {

/// One end, with what has come out of it and what it has failed with.
struct end_of_wire {
  end_of_wire(const tls_files& files, tls_filter::side side)
      : filter(*tls_context::load(files, "shop"), side) {}

  tls_filter filter;
  std::vector<char> sealed;
  std::vector<char> plain;
  caf::error failed;
};

/// Gives `to` what `from` has to say, in pieces of `piece` bytes. Returns whether there was any.
bool carry(end_of_wire& from, end_of_wire& to, std::size_t piece) {
  from.filter.seal({}, from.sealed);
  auto bytes = std::exchange(from.sealed, {});
  for (std::size_t at = 0; at < bytes.size() && !to.failed; at += piece) {
    auto size = std::min(piece, bytes.size() - at);
    to.failed = to.filter.open(bytes_of({bytes.data() + at, size}), to.plain);
  }
  return !bytes.empty();
}

void talk(end_of_wire& dialler, end_of_wire& acceptor, std::size_t piece = 1 << 20) {
  while (carry(dialler, acceptor, piece) || carry(acceptor, dialler, piece)) {
  }
}

void say(end_of_wire& from, const std::string& text) {
  CHECK_FALSE(from.filter.seal(text, from.sealed));
}

std::string text_of(const std::vector<char>& bytes) {
  return {bytes.begin(), bytes.end()};
}

} // namespace

TEST_CASE("two that trust each other speak, in pieces of any size") {
  certified by;
  for (std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1} << 20}) {
    end_of_wire dialler{by.files("a"), tls_filter::side::dialler};
    end_of_wire acceptor{by.files("b"), tls_filter::side::acceptor};
    talk(dialler, acceptor, piece);
    REQUIRE(dialler.filter.is_up());
    REQUIRE(acceptor.filter.is_up());

    say(dialler, "hello");
    say(acceptor, std::string(100'000, 'x'));
    say(dialler, " again");
    talk(dialler, acceptor, piece);

    CHECK(text_of(acceptor.plain) == "hello again");
    CHECK(text_of(dialler.plain) == std::string(100'000, 'x'));
    CHECK_FALSE(dialler.failed);
    CHECK_FALSE(acceptor.failed);
  }
}

TEST_CASE("both ends have the same binding, and every connection its own") {
  certified by;
  auto files = by.files("a");
  end_of_wire dialler{files, tls_filter::side::dialler};
  end_of_wire acceptor{files, tls_filter::side::acceptor};
  end_of_wire dialler2{files, tls_filter::side::dialler};
  end_of_wire acceptor2{files, tls_filter::side::acceptor};
  talk(dialler, acceptor);
  talk(dialler2, acceptor2);

  CHECK(dialler.filter.binding() == acceptor.filter.binding());
  CHECK(dialler.filter.binding() != dialler2.filter.binding());
}

TEST_CASE("each end reads the names of the other's certificate") {
  certified by;
  end_of_wire dialler{by.files("a", {.regions = {"lax"}}), tls_filter::side::dialler};
  end_of_wire acceptor{by.files("b", {.machines = {"148e21"}}), tls_filter::side::acceptor};
  talk(dialler, acceptor);

  CHECK(acceptor.filter.peer_names().dns ==
        std::vector<std::string>{"shop.internal", "lax.shop.internal"});
  CHECK(dialler.filter.peer_names().dns ==
        std::vector<std::string>{"shop.internal", "148e21.vm.shop.internal"});
}

TEST_CASE("a certificate of a foreign authority is refused by both, with the reason") {
  certified by;
  certified other;
  end_of_wire dialler{other.files("a"), tls_filter::side::dialler};
  end_of_wire acceptor{by.files("b"), tls_filter::side::acceptor};
  talk(dialler, acceptor);

  CHECK(dialler.failed == fly::errc::handshake_failed);
  CHECK(fly::text_of(dialler.failed).find("the peer's certificate: ") != std::string::npos);
  CHECK(acceptor.failed == fly::errc::handshake_failed);
  CHECK(fly::text_of(acceptor.failed).find("the peer refuses") != std::string::npos);
}

TEST_CASE("who only pretends to be of the cluster is told that it is refused") {
  certified by;
  certified other;
  auto mixed = other.files("a");
  mixed.authority =
      other.write("both.pem", by.authority().certificate + other.authority().certificate);
  end_of_wire dialler{mixed, tls_filter::side::dialler}; // trusts the acceptor, is not trusted
  end_of_wire acceptor{by.files("b"), tls_filter::side::acceptor};
  talk(dialler, acceptor);

  CHECK_FALSE(acceptor.filter.is_up());
  CHECK(acceptor.failed == fly::errc::handshake_failed);
  CHECK(fly::text_of(dialler.failed).find("the peer refuses this node's certificate") !=
        std::string::npos);
}

TEST_CASE("plain text is refused by its name") {
  certified by;
  end_of_wire acceptor{by.files("b"), tls_filter::side::acceptor};

  auto failed =
      acceptor.filter.open(bytes_of("GET / HTTP/1.1\r\nHost: shop\r\n\r\n"), acceptor.plain);

  CHECK(failed == fly::errc::handshake_failed);
  CHECK(fly::text_of(failed).find("does not speak TLS") != std::string::npos);
}

TEST_CASE("bytes that were bent on the way end the connection") {
  certified by;
  auto files = by.files("a");
  std::mt19937_64 random{7};
  for (int round = 0; round < 50; ++round) {
    end_of_wire dialler{files, tls_filter::side::dialler};
    end_of_wire acceptor{files, tls_filter::side::acceptor};
    talk(dialler, acceptor);
    say(dialler, "a frame that must not change");
    auto& bent =
        dialler.sealed[5 + random() % (dialler.sealed.size() - 5)]; // not the record's head
    bent = static_cast<char>(bent ^ (1 << (random() % 8)));
    talk(dialler, acceptor);

    CHECK(acceptor.failed == fly::errc::member_lost);
    CHECK(acceptor.plain.empty());
    CHECK(acceptor.filter.open(bytes_of("x"), acceptor.plain) == fly::errc::member_lost);
  }
}

TEST_CASE("random bytes never pass, in any state") {
  certified by;
  auto files = by.files("a");
  std::mt19937_64 random{11};
  for (int round = 0; round < 200; ++round) {
    end_of_wire dialler{files, tls_filter::side::dialler};
    end_of_wire acceptor{files, tls_filter::side::acceptor};
    if (round % 2 == 0)
      talk(dialler, acceptor);
    std::string noise(1 + random() % 2000, '\0');
    for (auto& c : noise)
      c = static_cast<char>(random());
    if (round % 3 == 0)
      noise = std::string{"\x16\x03\x03\x00\x40", 5} + noise;
    acceptor.failed = acceptor.filter.open(bytes_of(noise), acceptor.plain);
    CHECK(acceptor.plain.empty());
  }
}
