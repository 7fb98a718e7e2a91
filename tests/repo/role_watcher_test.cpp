// Proves that only a fresh connection makes a primary, and that anything at all takes it away.
#include "fly/repo/role_watcher.hpp"

#include <chrono>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using fly::repo::database_role;
using fly::repo::differs_in_kind;
using fly::repo::role_watcher;
using fly::repo::server_identity;

namespace {

const role_watcher::time_point start = role_watcher::time_point{} + 1000s;

server_identity writable() {
  return {.system = 9, .started_us = 5, .address = "10.0.0.1:5432", .timeline = 1};
}

server_identity standby() {
  auto result = writable();
  result.in_recovery = true;
  result.read_only = true;
  return result;
}

server_identity fenced() {
  auto result = writable();
  result.read_only = true;
  return result;
}

} // namespace

TEST_CASE("before anybody has asked nothing is known, and a fresh look is due at once") {
  role_watcher roles{3s};

  CHECK(roles.report().role == database_role::unknown);
  CHECK(roles.fresh_due() <= start);
}

TEST_CASE("a fresh connection alone makes a primary") {
  role_watcher roles{3s};
  roles.saw(writable());
  CHECK(roles.report().role == database_role::unknown);
  CHECK(roles.fresh_due() <= start);

  roles.saw_fresh(writable(), start);
  CHECK(roles.report().role == database_role::primary);
  CHECK(roles.fresh_due() == start + 3s);
  roles.saw(writable());
  CHECK(roles.report().role == database_role::primary);
  CHECK(roles.fresh_due() == start + 3s);
}

TEST_CASE("an old session that still says writable does not outvote a fresh one") {
  role_watcher roles{3s};
  roles.saw_fresh(fenced(), start);
  CHECK(roles.report().role == database_role::replica);

  roles.saw(writable());
  CHECK(roles.report().role == database_role::replica);
  CHECK(roles.fresh_due() == start + 3s);
  roles.saw_fresh(writable(), start + 3s);
  CHECK(roles.report().role == database_role::primary);
}

TEST_CASE("what any connection sees takes the role away, and asks for a fresh look") {
  role_watcher roles{3s};
  roles.saw_fresh(writable(), start);
  auto seen = writable();

  SUBCASE("recovery") {
    seen = standby();
  }
  SUBCASE("read-only") {
    seen = fenced();
  }
  SUBCASE("another start of the server") {
    seen.started_us += 1;
  }
  SUBCASE("another address") {
    seen.address = "10.0.0.2:5432";
  }
  SUBCASE("another system") {
    seen.system += 1;
  }
  SUBCASE("another timeline") {
    seen.timeline += 1;
  }
  roles.saw(seen);

  CHECK(roles.report().role == database_role::replica);
  CHECK(roles.fresh_due() <= start);
  roles.saw(seen);
  CHECK(roles.report().role == database_role::replica);
}

TEST_CASE("a replica that is promoted becomes primary with the next fresh look") {
  role_watcher roles{3s};
  roles.saw_fresh(standby(), start);
  roles.saw(standby());
  CHECK(roles.fresh_due() == start + 3s);

  auto promoted = writable();
  promoted.timeline = 2;
  roles.saw(promoted);
  CHECK(roles.report().role == database_role::replica);
  CHECK(roles.fresh_due() <= start);
  roles.saw_fresh(promoted, start + 1s);
  CHECK(roles.report().role == database_role::primary);
  CHECK(roles.report().server.timeline == 2);
}

TEST_CASE("a write that was refused revokes at once, until a fresh look") {
  role_watcher roles{3s};
  roles.saw_fresh(writable(), start);

  roles.refused();
  CHECK(roles.report().role == database_role::replica);
  CHECK(roles.fresh_due() <= start);
  roles.saw(writable());
  CHECK(roles.report().role == database_role::replica);
  roles.saw_fresh(writable(), start + 1s);
  CHECK(roles.report().role == database_role::primary);
}

TEST_CASE("a server without room for a fresh look stays what it is, and is looked at again soon") {
  role_watcher roles{3s};
  roles.had_no_room("too many clients", start);
  CHECK(roles.report().role == database_role::unreachable);
  CHECK(roles.report().reason == "too many clients");

  roles.saw_fresh(writable(), start + 1s);
  roles.had_no_room("too many clients", start + 4s);
  CHECK(roles.report().role == database_role::primary);
  CHECK(roles.fresh_due() == start + 5s);
  roles.saw(fenced());
  roles.had_no_room("too many clients", start + 5s);
  CHECK(roles.report().role == database_role::replica);
}

TEST_CASE("a database that does not answer is unreachable, with the reason, until it answers") {
  role_watcher roles{3s};
  roles.saw_fresh(writable(), start);

  roles.failed("connection refused", start);
  CHECK(roles.report().role == database_role::unreachable);
  CHECK(roles.report().reason == "connection refused");
  CHECK(roles.fresh_due() == start + 1s);
  roles.refused();
  CHECK(roles.report().role == database_role::unreachable);
  roles.saw_fresh(standby(), start + 1s);
  CHECK(roles.report().role == database_role::replica);
  CHECK(roles.report().reason.empty());
}

TEST_CASE("how far the data is makes no difference in kind") {
  role_watcher roles{3s};
  roles.saw_fresh(writable(), start);
  auto before = roles.report();
  auto further = writable();
  further.lsn = fly::repo::lsn{77};
  further.lag = 5us;
  roles.saw(further);

  CHECK_FALSE(differs_in_kind(before, roles.report()));
  roles.refused();
  CHECK(differs_in_kind(before, roles.report()));
}
