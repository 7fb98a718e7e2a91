// Proves that a token says what it was made from, and that nobody else can make one.
#include "fly/repo/token.hpp"

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"

using namespace fly;
using repo::lsn;
using repo::position;
using repo::token_signer;

namespace {

const position pen{7412345678901234567, 2, lsn{0x16'B374D848}, 745};
const token_signer ours{"correct horse battery staple", "shop"};

} // namespace

TEST_CASE("a token is read back by every node with the secret") {
  auto token = ours.sign(pen);
  CAPTURE(token);
  CHECK(token.size() <= 110);
  CHECK(token.substr(0, 3) == "v1.");

  auto read = token_signer{"correct horse battery staple", "shop"}.parse(token);
  REQUIRE(read);
  CHECK(*read == pen);
}

TEST_CASE("another secret or another cluster makes other tokens") {
  auto token = ours.sign(pen);
  CHECK_FALSE(token_signer{"another", "shop"}.parse(token));
  CHECK_FALSE(token_signer{"correct horse battery staple", "bakery"}.parse(token));
  CHECK_FALSE(token_signer{"", "shop"}.parse(token));
}

TEST_CASE("while the secret is changed tokens of both are read, and the first one signs") {
  token_signer before{"old", "shop"};
  token_signer during{"new", "shop", "old"};
  token_signer after{"new", "shop"};

  CHECK(during.parse(before.sign(pen)) == pen);
  CHECK(after.parse(during.sign(pen)) == pen);
  CHECK_FALSE(after.parse(before.sign(pen)));
  CHECK_FALSE(during.parse(token_signer{"", "shop"}.sign(pen)));
  CHECK_FALSE(token_signer{"new", "shop", ""}.parse(token_signer{"", "shop"}.sign(pen)));
}

TEST_CASE("a token that was changed anywhere is refused") {
  auto token = ours.sign(pen);
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto changed = token;
    changed[i] = changed[i] == '1' ? '2' : '1';
    auto read = ours.parse(changed);
    REQUIRE_MESSAGE(!read, changed);
    CHECK(read.error() == errc::invalid_argument);
  }
}

TEST_CASE("what is cut off, longer, empty or foreign is refused") {
  auto token = ours.sign(pen);
  for (std::size_t i = 0; i < token.size(); ++i)
    CHECK_FALSE(ours.parse(token.substr(0, i)));
  CHECK_FALSE(ours.parse(token + "0"));
  CHECK_FALSE(ours.parse(to_string(pen)));
  CHECK_FALSE(ours.parse(std::string(1'000'000, 'v')));
}

TEST_CASE("without a secret tokens travel, and prove nothing") {
  token_signer open{"", "shop"};
  CHECK(*open.parse(open.sign(pen)) == pen);
}
