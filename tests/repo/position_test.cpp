// Proves the text form of positions, and that only positions of one history are compared.
#include "fly/repo/position.hpp"

#include <cstdint>
#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"

using fly::repo::compare;
using fly::repo::lsn;
using fly::repo::merge;
using fly::repo::parse_position;
using fly::repo::position;

namespace {

const position pen{7412345678901234567, 1, lsn{0x16'B374D848}, 745};

} // namespace

TEST_CASE("a position has one text form, with and without a transaction id") {
  CHECK(to_string(pen) == "7412345678901234567.1.16/B374D848.745");
  CHECK(*parse_position("7412345678901234567.1.16/B374D848.745") == pen);

  position without{1, 2, lsn{3}, std::nullopt};
  CHECK(to_string(without) == "1.2.0/3");
  CHECK(*parse_position("1.2.0/3") == without);

  position largest{UINT64_MAX, UINT32_MAX, lsn{UINT64_MAX}, UINT64_MAX};
  CHECK(to_string(largest) ==
        "18446744073709551615.4294967295.FFFFFFFF/FFFFFFFF.18446744073709551615");
  CHECK(*parse_position(to_string(largest)) == largest);
}

TEST_CASE("anything else is no position, and the error names the part") {
  auto names = [](const std::string& text, const char* part) {
    auto read = parse_position(text);
    REQUIRE_MESSAGE(!read, text);
    CHECK(read.error() == fly::errc::invalid_argument);
    CHECK_MESSAGE(fly::text_of(read.error()).find(part) != std::string::npos, text);
  };
  names("", "number of parts");
  names("1.2", "number of parts");
  names("1.2.0/3.4.5", "number of parts");
  names("0.2.0/3", "system identifier");
  names(".2.0/3", "system identifier");
  names("01.2.0/3", "system identifier");
  names("-1.2.0/3", "system identifier");
  names("+1.2.0/3", "system identifier");
  names("18446744073709551616.2.0/3", "system identifier");
  names("1.0.0/3", "timeline");
  names("1.x.0/3", "timeline");
  names("1.4294967296.0/3", "timeline");
  names("1.2.3", "LSN");
  names("1.2.0/0a", "LSN");
  names("1.2.00/3", "LSN");
  names("1.2.0/3.", "transaction id");
  names("1.2.0/3.0", "transaction id");
  names("1.2.0/3.4 ", "transaction id");
  names("1.2.0/3.18446744073709551616", "transaction id");
  names(std::string(71, '1'), "length");
  names(std::string(1 << 20, '.'), "length");
}

TEST_CASE("positions of one history are ordered by LSN alone") {
  auto later = pen;
  later.lsn = lsn{pen.lsn.bytes() + 1};
  later.xid = 1;

  CHECK(compare(pen, later) == std::partial_ordering::less);
  CHECK(compare(later, pen) == std::partial_ordering::greater);
  auto same_place = pen;
  same_place.xid.reset();
  CHECK(compare(pen, same_place) == std::partial_ordering::equivalent);
}

TEST_CASE("positions of two histories have no order and no common position") {
  auto other_system = pen;
  other_system.system += 1;
  auto other_timeline = pen;
  other_timeline.timeline += 1;

  CHECK(compare(pen, other_system) == std::partial_ordering::unordered);
  CHECK(compare(pen, other_timeline) == std::partial_ordering::unordered);
  CHECK_FALSE(merge(pen, other_system));
  CHECK_FALSE(merge(pen, other_timeline));
}

TEST_CASE("the common position is the later LSN, and has an id only where both have the same") {
  auto later = pen;
  later.lsn = lsn{pen.lsn.bytes() + 8};
  CHECK(*merge(pen, later) == later);
  CHECK(*merge(later, pen) == later);

  later.xid = 746;
  CHECK_FALSE(merge(pen, later)->xid);
  CHECK(merge(pen, later)->lsn == later.lsn);

  auto without = pen;
  without.xid.reset();
  CHECK_FALSE(merge(pen, without)->xid);
  CHECK(*merge(pen, pen) == pen);
}

TEST_CASE("across a promotion positions merge where the older one is below the switch") {
  position older{9, 1, lsn{100}, 5};
  position newer{9, 2, lsn{300}, 6};
  fly::repo::timeline_history history;
  CHECK_FALSE(merge(older, newer, history));
  history.add(2, {1, lsn{100}});

  CHECK(merge(older, newer, history) == newer);
  CHECK(merge(newer, older, history) == newer);
  older.lsn = lsn{101};
  CHECK_FALSE(merge(older, newer, history));
  CHECK_FALSE(merge(older, {8, 2, lsn{300}, {}}, history));
  CHECK(merge(older, {9, 1, lsn{90}, 5}, history) == older);
}
