// Proves that LSNs are read, printed and ordered as PostgreSQL's pg_lsn.
#include "fly/repo/lsn.hpp"

#include <cstdint>
#include <string>

#include <doctest/doctest.h>

using fly::repo::lsn;

TEST_CASE("an LSN is read as PostgreSQL prints it") {
  CHECK(lsn::parse("16/B374D848") == lsn{0x16'B374D848});
  CHECK(lsn::parse("0/0") == lsn{});
  CHECK(lsn::parse("0/1") == lsn{1});
  CHECK(lsn::parse("1/0") == lsn{std::uint64_t{1} << 32});
  CHECK(lsn::parse("FFFFFFFF/FFFFFFFF") == lsn{UINT64_MAX});
  CHECK(lsn::parse("ffffffff/fffffffe") == lsn{UINT64_MAX - 1});
  CHECK(lsn::parse("00000016/00000001") == lsn{0x16'00000001});
}

TEST_CASE("an LSN prints without leading zeros and reads back") {
  CHECK(to_string(lsn{0x16'B374D848}) == "16/B374D848");
  CHECK(to_string(lsn{}) == "0/0");
  CHECK(to_string(lsn{0x1'00000001}) == "1/1");
  CHECK(to_string(lsn{UINT64_MAX}) == "FFFFFFFF/FFFFFFFF");
  for (std::uint64_t bytes = 1; bytes != 0; bytes <<= 1) {
    CHECK(lsn::parse(to_string(lsn{bytes})) == lsn{bytes});
    CHECK(lsn::parse(to_string(lsn{bytes - 1})) == lsn{bytes - 1});
  }
}

TEST_CASE("LSNs are ordered as the log is, not as their text") {
  CHECK(lsn{1} < lsn{2});
  CHECK(*lsn::parse("0/FFFFFFFF") < *lsn::parse("1/0"));
  CHECK(*lsn::parse("9/0") < *lsn::parse("10/0"));
  CHECK(lsn{7} == lsn{7});
}

TEST_CASE("anything else is no LSN") {
  for (const char* text :
       {"", "/", "0", "0/", "/0", "0/0/0", " 0/0", "0/0 ", "0 /0", "-1/0", "+1/0", "0x1/0", "G/0",
        "0/G", "123456789/0", "0/123456789", "0\\0", "1/2\n"})
    CHECK_MESSAGE(!lsn::parse(text), text);
  CHECK_FALSE(lsn::parse(std::string{"0/0\0", 4}));
}
