// Proves who is chosen for a call.
#include "fly/rpc/routes.hpp"

#include <set>

#include <doctest/doctest.h>

#include "fly/cluster/channel.hpp"

using namespace fly;
using namespace fly::rpc;

namespace {

const std::vector<std::string> nobody;

route member_of(std::string region, std::string id, offer offered = {{"f", {1}}}) {
  route result;
  result.who.id = std::move(id);
  result.who.region = std::move(region);
  result.link = std::make_shared<cluster::channel>(result.who, cluster::channel_limits{}, [] {});
  result.offered = std::make_shared<const offer>(std::move(offered));
  result.load = std::make_shared<member_load>();
  return result;
}

route self_in(std::string region) {
  auto result = member_of(std::move(region), "self");
  result.link = nullptr;
  result.self = true;
  return result;
}

/// Returns the ids that are chosen over many random numbers.
std::set<std::string> chosen(const routes& from, const target& whom,
                             const std::vector<std::string>& refused = nobody,
                             std::uint64_t fingerprint = 1) {
  std::set<std::string> result;
  for (std::uint64_t i = 0; i < 64; ++i)
    if (const auto* to = from.pick({whom, "f", fingerprint, refused}, i * 0x9e3779b97f4a7c15))
      result.insert(to->who.id);
  return result;
}

using ids = std::set<std::string>;

} // namespace

TEST_CASE("members of the region are chosen, and nobody where there is none") {
  routes from{{member_of("ams", "a"), member_of("ams", "b"), member_of("lax", "c")}};

  CHECK(chosen(from, target::region("ams")) == ids{"a", "b"});
  CHECK(chosen(from, target::region("lax")) == ids{"c"});
  CHECK(chosen(from, target::region("hkg")).empty());
  CHECK(chosen(from, target::member("b")) == ids{"b"});
  CHECK(chosen(from, target::member("x")).empty());
}

TEST_CASE("this node is preferred where it is one of those asked for") {
  routes from{{member_of("ams", "a"), self_in("ams"), member_of("lax", "c")}};

  CHECK(chosen(from, target::region("ams")) == ids{"self"});
  CHECK(chosen(from, target::region("lax")) == ids{"c"});
  CHECK(chosen(from, target::member("self")) == ids{"self"});
}

TEST_CASE("the primary group is chosen, and others where this node has refused") {
  auto self = self_in("ams");
  auto other = member_of("lax", "c");
  self.primary = other.primary = true;
  routes from{{self, other, member_of("ams", "a")}};

  CHECK(chosen(from, target::primary()) == ids{"self"});
  CHECK(chosen(from, target::primary(), {"self"}) == ids{"c"});
  CHECK(chosen(from, target::primary(), {"self", "c"}).empty());
}

TEST_CASE("a member without an endpoint or without a link is not there") {
  auto mute = member_of("ams", "a");
  mute.offered = nullptr;
  auto unlinked = member_of("ams", "b");
  unlinked.link = nullptr;

  CHECK(chosen(routes{{mute, unlinked}}, target::region("ams")).empty());
}

TEST_CASE("members that serve the name with the fingerprint are preferred") {
  routes from{{member_of("ams", "other_types", {{"f", {2}}}), member_of("ams", "no_name", {}),
               member_of("ams", "good")}};

  CHECK(chosen(from, target::region("ams")) == ids{"good"});
  CHECK(chosen(from, target::region("ams"), nobody, 0) == ids{"good", "other_types"});
  // Nobody announces it: whoever is asked says what is wrong.
  CHECK(chosen(from, target::region("ams"), nobody, 3).size() == 3);
}

TEST_CASE("this node is not asked for what it does not serve, where another one does") {
  auto self = self_in("ams");
  self.offered = std::make_shared<const offer>();

  CHECK(chosen(routes{{self, member_of("ams", "a")}}, target::region("ams")) == ids{"a"});
  CHECK(chosen(routes{{self}}, target::region("ams")) == ids{"self"});
}

TEST_CASE("a suspect is asked only where nobody else is there") {
  auto suspect = member_of("ams", "a");
  suspect.suspect = true;

  CHECK(chosen(routes{{suspect, member_of("ams", "b")}}, target::region("ams")) == ids{"b"});
  CHECK(chosen(routes{{suspect}}, target::region("ams")) == ids{"a"});
}

TEST_CASE("a member that rests is asked only where nobody else is there, and after its time") {
  auto tired = member_of("ams", "a");
  auto at = std::chrono::steady_clock::time_point{} + std::chrono::hours{1};
  tired.load->health.full(at, std::chrono::seconds{1});
  routes both{{tired, member_of("ams", "b")}};
  routes alone{{tired}};
  auto whom = target::region("ams");
  auto picked = [&](const routes& from, std::chrono::steady_clock::time_point now) {
    std::set<std::string> result;
    for (std::uint64_t i = 0; i < 64; ++i)
      result.insert(from.pick({whom, "f", 1, nobody, now}, i * 0x9e3779b97f4a7c15)->who.id);
    return result;
  };

  CHECK(picked(both, at) == ids{"b"});
  CHECK(picked(alone, at) == ids{"a"});
  CHECK(picked(both, at + std::chrono::seconds{1}) == ids{"a", "b"});
}

TEST_CASE("of two members the one with fewer calls in flight is chosen") {
  routes from{{member_of("ams", "a"), member_of("ams", "b")}};
  busy_mark one{from.all()[0].load};

  CHECK(chosen(from, target::region("ams")) == ids{"b"});
  {
    busy_mark two{from.all()[1].load};
    busy_mark three{from.all()[1].load};
    CHECK(chosen(from, target::region("ams")) == ids{"a"});
  }
  CHECK(from.all()[1].load->calls.load() == 0);
}

TEST_CASE("the regions are listed with their members, observers not counted") {
  auto visitor = member_of("hkg", "v");
  visitor.who.observer = true;

  CHECK(routes{}.regions() == "none");
  CHECK(routes{{member_of("lax", "c"), member_of("ams", "a"), member_of("lax", "d"), visitor}}
            .regions() == "ams (1), lax (2)");
}
