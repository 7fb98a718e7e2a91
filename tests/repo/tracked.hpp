#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>

#include "fly/actors/error.hpp"
#include "fly/actors/supervisor.hpp"
#include "fly/repo/lsn_tracker.hpp"
#include "fly/repo/role_board.hpp"
#include "fly/repo/transaction.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

namespace fly::test {

/// A tracker of one server, driven by an actor under a supervisor.
struct tracked {
  explicit tracked(caf::actor_system& system, const postgres_server& server,
                   std::size_t waiters_max = 10'000)
      : roles(std::make_shared<repo::role_board>(std::chrono::hours{1}, [](const auto&) {})),
        tracker({.watcher = {.link = {.url = server.url()}}, .waiters_max = waiters_max}, roles),
        tree(system, {.restarts_max = 100}, {tracker.child()}) {
    REQUIRE(tree.wait_started(std::chrono::seconds{5}));
  }

  /// Waits in the calling thread.
  caf::error wait(const repo::position& where, std::chrono::milliseconds timeout) {
    auto deadline = std::chrono::steady_clock::now() + timeout;
    auto answer = actors::ask<caf::unit_t>(deadline, [&](actors::completion<caf::unit_t> done) {
      return tracker.wait_for(where, deadline, std::move(done));
    });
    return answer ? caf::error{} : answer.error();
  }

  caf::actor actor() const { return tree.which_children().front().handle; }

  std::shared_ptr<repo::role_board> roles;
  repo::lsn_tracker tracker;
  actors::supervisor tree;
};

/// A primary and replicas with table t, and an actor system.
struct traced_servers {
  explicit traced_servers(std::size_t replicas) : servers(replicas) {
    servers.primary().sql("CREATE TABLE t (n int); GRANT ALL ON t TO app");
    servers.wait_caught_up();
    link = std::move(
        *repo::connection::open({.url = servers.primary().url()},
                                std::chrono::steady_clock::now() + std::chrono::seconds{10}));
  }

  repo::position write(int n = 1) {
    repo::transaction tx{*link};
    tx.exec("INSERT INTO t VALUES (" + std::to_string(n) + ")");
    auto where = tx.finish();
    REQUIRE(where);
    return *where;
  }

  caf::actor_system_config config;
  caf::actor_system system{config};
  postgres servers;
  std::unique_ptr<repo::connection> link;
};

struct one_replica : traced_servers {
  one_replica() : traced_servers(1) {}
};

struct two_replicas : traced_servers {
  two_replicas() : traced_servers(2) {}
};

} // namespace fly::test
