// Proves that frames which a full link does not take leave later, in their order, within a bound,
// and that one full link does not hold up another.
#include "fly/rpc/late_frames.hpp"

#include <string>

#include <doctest/doctest.h>

#include "fake_link.hpp"

using namespace fly;
using namespace fly::test;
using rpc::late_frames;

namespace {

constexpr cluster::frame_kind kind{21};
constexpr cluster::channel_limits narrow{64 * 1024, 100};

std::vector<char> number(char which) {
  return std::vector<char>(100, which);
}

char next_of(fake_link& from) {
  auto frame = from.next();
  return frame ? frame->second.at(0) : '-';
}

} // namespace

TEST_CASE("frames wait for a full link, in their order") {
  fake_link link{"lax", narrow};
  late_frames frames;
  for (char which : {'a', 'b', 'c'})
    CHECK(frames.send(link.link, kind, number(which)) == late_frames::fate::taken);

  CHECK(next_of(link) == 'a');
  CHECK(next_of(link) == '-');
  link.link->in_flight(0);
  frames.flush();
  CHECK(next_of(link) == 'b');
  link.link->in_flight(0);
  CHECK(frames.send(link.link, kind, number('d')) == late_frames::fate::taken); // behind c
  frames.flush();
  CHECK(next_of(link) == 'c');
  link.link->in_flight(0);
  frames.flush();
  CHECK(next_of(link) == 'd');
}

TEST_CASE("a full link does not hold up another one") {
  fake_link full{"lax", narrow};
  fake_link other{"ams", narrow};
  late_frames frames;
  for (char which : {'a', 'b'})
    frames.send(full.link, kind, number(which));

  CHECK(frames.send(other.link, kind, number('x')) == late_frames::fate::taken);

  CHECK(next_of(other) == 'x');
}

TEST_CASE("what waits for a link has a bound, but for the last word") {
  fake_link link{"lax", {1024 * 1024, 100}};
  late_frames frames;
  frames.send(link.link, kind, number('a'));
  std::size_t kept = 0;
  while (frames.send(link.link, kind, {}, std::vector<char>(1'000'000)) == late_frames::fate::taken)
    ++kept;

  CHECK(kept == late_frames::kept_bytes_max / 1'000'000);
  CHECK(frames.send(link.link, kind, {}, std::vector<char>(1'000'000)) ==
        late_frames::fate::refused);
  CHECK(frames.send(link.link, kind, {}, std::vector<char>(1'000'000), 1) ==
        late_frames::fate::taken);
}

TEST_CASE("the last word of one thing is kept once, until it has left") {
  fake_link link{"lax", narrow};
  late_frames frames;
  frames.send(link.link, kind, number('a'));
  for (char which : {'b', 'c'})
    CHECK(frames.send(link.link, kind, number(which), {}, 1) == late_frames::fate::taken);
  CHECK(frames.send(link.link, kind, number('d'), {}, 2) == late_frames::fate::taken);

  std::string left;
  auto read = [&] {
    while (!frames.is_empty()) {
      left += next_of(link);
      link.link->in_flight(0);
      frames.flush();
    }
    left += next_of(link);
    link.link->in_flight(0);
  };
  read();
  CHECK(left == "abd");

  frames.send(link.link, kind, number('e'));
  frames.send(link.link, kind, number('f'), {}, 1);
  read();
  CHECK(left == "abdef");
}

TEST_CASE("a frame that is too long is refused at once, and a closed link swallows") {
  fake_link link{"lax", narrow};
  late_frames frames;
  CHECK(frames.send(link.link, kind, {}, std::vector<char>(64 * 1024)) ==
        late_frames::fate::too_large);
  frames.send(link.link, kind, number('a'));
  frames.send(link.link, kind, number('b'));

  link.link->close();
  frames.flush();

  CHECK(frames.send(link.link, kind, number('c')) == late_frames::fate::taken);
  CHECK(next_of(link) == '-');
}
