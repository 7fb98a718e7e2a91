// Proves that any cut of a stream gives the same frames, that every malformed input is an error
// value, and that the reader of payloads never reads beyond them.
#include "fly/cluster/frame.hpp"

#include <random>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/beat.hpp"
#include "fly/cluster/wire.hpp"

using namespace fly::cluster;
using fly::errc;

namespace {

using texts = std::vector<std::pair<int, std::string>>;

/// Feeds `stream` in the given pieces and returns the frames, or the error as the last one.
texts parse(frame_parser& parser, const std::string& stream, const std::vector<std::size_t>& cuts) {
  texts result;
  std::size_t from = 0;
  for (auto size : cuts) {
    auto piece = stream.substr(from, size);
    from += piece.size();
    parser.feed(bytes_of(piece));
    for (;;) {
      auto next = parser.next();
      if (!next) {
        result.emplace_back(-1, fly::to_string(fly::code_of(next.error())));
        return result;
      }
      if (!*next)
        break;
      auto text = reinterpret_cast<const char*>((*next)->payload.data());
      result.emplace_back(static_cast<int>((*next)->kind),
                          std::string{text, (*next)->payload.size()});
    }
  }
  return result;
}

std::string frames(const texts& what) {
  std::vector<char> out;
  for (const auto& [kind, text] : what)
    append_frame(out, static_cast<frame_kind>(kind), bytes_of(text));
  return {out.begin(), out.end()};
}

} // namespace

TEST_CASE("a frame is its length, its kind and its payload") {
  std::vector<char> out;

  append_frame(out, static_cast<frame_kind>(17), bytes_of("ab"), bytes_of("c"));

  CHECK(std::string{out.begin(), out.end()} == std::string("\0\0\0\4\x11"
                                                           "abc",
                                                           8));
}

TEST_CASE("every cut of a stream into two or three gives the same frames") {
  texts sent{{1, ""}, {16, "a"}, {255, std::string(300, 'b')}, {0, "cd"}};
  auto stream = frames(sent);

  for (std::size_t first = 0; first <= stream.size(); ++first)
    for (std::size_t second : {std::size_t{0}, std::size_t{1}, std::size_t{7}, stream.size()}) {
      frame_parser parser{1000};
      CHECK(parse(parser, stream, {first, second, stream.size()}) == sent);
    }
}

TEST_CASE("a stream fed byte by byte, or in random pieces, gives the same frames") {
  texts sent;
  std::mt19937_64 random{7};
  for (int i = 0; i < 200; ++i)
    sent.emplace_back(static_cast<int>(random() % 256), std::string(random() % 60, 'x'));
  auto stream = frames(sent);

  frame_parser single{1000};
  CHECK(parse(single, stream, std::vector<std::size_t>(stream.size(), 1)) == sent);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::size_t> cuts;
    for (std::size_t sum = 0; sum < stream.size(); sum += cuts.back())
      cuts.push_back(random() % 100);
    frame_parser parser{1000};
    CHECK(parse(parser, stream, cuts) == sent);
  }
}

TEST_CASE("a frame of the longest size passes, one byte more is an error") {
  texts longest{{9, std::string(99, 'x')}};
  frame_parser fits{100};
  CHECK(parse(fits, frames(longest), {1000}) == longest);

  frame_parser refuses{99};
  CHECK(parse(refuses, frames(longest), {1000}) == texts{{-1, "frame_too_large"}});
  frame_parser early{99}; // the length alone is enough
  CHECK(parse(early, frames(longest), {4}) == texts{{-1, "frame_too_large"}});
}

TEST_CASE("malformed lengths are errors, and nothing is read after one") {
  auto error_of = [](std::string stream, std::vector<std::size_t> cuts) {
    frame_parser parser{100};
    return parse(parser, stream, cuts);
  };

  CHECK(error_of(std::string(4, '\0'), {4}) == texts{{-1, "malformed_frame"}});
  CHECK(error_of(std::string(9, '\0'), {1, 1, 1, 1}) == texts{{-1, "malformed_frame"}});
  CHECK(error_of("\xff\xff\xff\xff", {4}) == texts{{-1, "frame_too_large"}});
  CHECK(error_of("GET / HTTP/1.1\r\n", {16}) == texts{{-1, "frame_too_large"}});
  frame_parser broken{100};
  parse(broken, std::string(4, '\0'), {4});
  CHECK_FALSE(broken.next());
  CHECK_FALSE(broken.next());
}

TEST_CASE("an incomplete frame gives nothing until its last byte is there") {
  frame_parser parser{1000};
  texts sent{{5, std::string(100, 'x')}};
  auto stream = frames(sent);

  CHECK(parse(parser, stream.substr(0, 3), {3}).empty());
  CHECK(parse(parser, stream.substr(3, 10), {10}).empty());
  CHECK(parse(parser, stream.substr(13, stream.size() - 14), {stream.size()}).empty());
  CHECK(parse(parser, stream.substr(stream.size() - 1), {1}) == sent);
}

TEST_CASE("the bound can be raised between two frames") {
  frame_parser parser{10};
  CHECK(parse(parser, frames({{1, "123456789"}}), {100}).size() == 1);

  parser.limit(1000);

  CHECK(parse(parser, frames({{1, std::string(500, 'x')}}), {1000}).size() == 1);
}

TEST_CASE("numbers are big-endian and texts bring their length") {
  wire_writer out;
  out.number(std::uint8_t{1}).number(std::uint32_t{0x01020304}).text("ab").number(std::int64_t{-2});
  auto bytes = out.bytes();

  CHECK(bytes.size() == 1 + 4 + 4 + 2 + 8);
  CHECK(bytes[1] == std::byte{1});
  CHECK(bytes[4] == std::byte{4});
  wire_reader in{bytes};
  CHECK(in.number<std::uint8_t>() == 1);
  CHECK(in.number<std::uint32_t>() == 0x01020304);
  CHECK(in.text() == "ab");
  CHECK_FALSE(in.complete());
  CHECK(in.number<std::int64_t>() == -2);
  CHECK(in.complete());
}

TEST_CASE("a reader that runs out of bytes says so and gives nothing more") {
  wire_writer out;
  out.text("hello").number(std::uint16_t{7});
  auto bytes = out.take();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    wire_reader in{bytes_of(bytes).first(size)};
    in.text();
    in.number<std::uint16_t>();
    CHECK_FALSE(in.ok());
    CHECK(in.number<std::uint64_t>() == 0);
    CHECK(in.text().empty());
  }
  wire_reader huge{bytes_of(std::string_view{"\xff\xff\xff\xff rest"})};
  CHECK(huge.text().empty());
  CHECK_FALSE(huge.ok());
}

TEST_CASE("a heartbeat comes back as it was, and every shorter one is an error") {
  beat sent{.sent_us = 1, .echo_us = UINT64_MAX, .held_us = 3, .load = 4};
  sent.database = {.role = claim::role::unreachable,
                   .system = 7'000'000'000'000'000'000,
                   .timeline = 3,
                   .lsn = 99,
                   .lag = std::chrono::microseconds{-1},
                   .server = 77,
                   .reason = "connection refused",
                   .lease = {2, UINT64_MAX},
                   .leads = true};
  auto bytes = encode(sent);

  CHECK(*decode_beat(bytes_of(bytes)) == sent);
  auto second_version = bytes.size() - 13; // had no lease
  auto first_version = second_version - 8; // nor a server
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK(bool(decode_beat(bytes_of(bytes).first(size))) ==
          (size == first_version || size == second_version));
  CHECK(decode_beat(bytes_of(bytes).first(first_version))->database.server == 0);
  auto second = decode_beat(bytes_of(bytes).first(second_version));
  CHECK(second->database.server == 77);
  CHECK(second->database.lease == epoch{});
  CHECK_FALSE(second->database.leads);
  bytes.push_back('!'); // a later version
  CHECK(*decode_beat(bytes_of(bytes)) == sent);
}

TEST_CASE("a role of a later version is unknown, and a long reason is cut") {
  auto bytes = encode(beat{.database = {.reason = std::string(5000, 'x')}});
  CHECK(decode_beat(bytes_of(bytes))->database.reason.size() == 1024);

  bytes[28] = 9; // the role, after three times 8 and once 4 bytes
  CHECK(decode_beat(bytes_of(bytes))->database.role == claim::role::unknown);
}
