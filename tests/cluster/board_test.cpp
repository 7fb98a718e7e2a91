// Proves that what was read from a board stays as it was while newer snapshots come.
#include "fly/cluster/board.hpp"

#include <memory>

#include <doctest/doctest.h>

using namespace fly::cluster;

namespace {

template <class Kept>
concept reached_through_temporary = requires(Kept (*read)()) {
  read()->views;
}
|| requires(Kept (*read)()) {
  (*read()).views;
};

static_assert(reached_through_temporary<std::shared_ptr<const snapshot>>);
static_assert(!reached_through_temporary<kept_snapshot>);

} // namespace

TEST_CASE("a snapshot that was read does not change") {
  snapshot first;
  first.primary.region = "syd";
  board all{first};

  auto before = all.read();
  first.primary.region = "lax";
  all.pin(first);

  auto after = all.read();
  CHECK(before->primary.region == "syd");
  CHECK(after->primary.region == "lax");
}
