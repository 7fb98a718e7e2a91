// Proves that real nodes in one process find each other over loopback sockets, by fixed peers and
// by DNS, notice who leaves, dies and starts anew, and say of each other what was announced.
#include "fly/cluster/node.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "fly/actors/error.hpp"
#include "fly/actors/supervisor.hpp"
#include "fly/cluster/tcp.hpp"
#include "fly/cluster/wire.hpp"
#include "tests/cluster/nodes.hpp"
#include "tests/support/dns_server.hpp"

using namespace std::chrono_literals;
using namespace fly::cluster;
using namespace fly::test;
using fly::errc;

TEST_CASE("a single node with default options joins and sees itself") {
  auto settings = quick_node("local");
  settings.primary_region = "local";
  node alone{settings};

  REQUIRE_FALSE(alone.join());

  CHECK(alone.members() == std::vector{alone.self()});
  CHECK(alone.is_primary());
  CHECK(alone.leader() == alone.self());
  CHECK(alone.primary_region() == "local");
}

TEST_CASE("three nodes find each other by fixed peers") {
  node a{quick_node("syd")};
  REQUIRE_FALSE(a.join());
  node b{quick_node("lax", {a.self().address})};
  REQUIRE_FALSE(b.join());
  node c{quick_node("ams", {a.self().address, b.self().address})};
  REQUIRE_FALSE(c.join());

  CHECK(eventually([&] { return sees(a, 3) && sees(b, 3) && sees(c, 3); }));

  CHECK(a.members() == b.members());
  CHECK(a.members() == c.members());
  CHECK(b.region_nodes("ams") == std::vector{c.self()});
  CHECK(b.region_nodes("hkg").empty());
  CHECK(c.leader() == a.self());
  CHECK(c.primary_region() == "syd");
  CHECK_FALSE(c.is_primary());
  CHECK(a.is_primary());
}

TEST_CASE("nodes find each other by DNS, and a name server that dies takes nobody away") {
  dns_server dns;
  dns.set_hosts({{"127.0.0.2", "shop.internal"},
                 {"127.0.0.3", "shop.internal"},
                 {"127.0.0.4", "shop.internal"}});
  std::vector<std::unique_ptr<node>> nodes;
  std::uint16_t port = 0; // any free one, the same on all three addresses
  for (auto [region, address] : {std::pair{"syd", "127.0.0.2"}, std::pair{"lax", "127.0.0.3"},
                                 std::pair{"ams", "127.0.0.4"}}) {
    auto settings = quick_node(region);
    settings.app = "shop";
    settings.listen = address;
    settings.port = port;
    settings.dns_server = dns.address();
    settings.discovery_interval = 100ms;
    settings.dns_timeout = 300ms;
    nodes.push_back(std::make_unique<node>(settings));
    auto where = parse_socket_address(nodes.back()->self().address, 0);
    port = where->port;
  }
  for (auto& one : nodes)
    REQUIRE_FALSE(one->join());

  CHECK(eventually([&] { return sees(*nodes[1], 3) && sees(*nodes[2], 3); }));

  dns.kill();
  std::this_thread::sleep_for(500ms); // several rounds of discovery fail meanwhile
  for (auto& one : nodes)
    CHECK(sees(*one, 3));
}

TEST_CASE("a node tells the others the address that it advertises, and keeps its own id") {
  auto settings = quick_node("syd");
  settings.advertise = "127.0.0.9:4400";
  node a{settings};
  REQUIRE_FALSE(a.join());
  auto listens = a.self().id.substr(a.self().id.rfind('/') + 1); // "<hostname>/<address>:<port>"
  node b{quick_node("lax", {listens})};
  REQUIRE_FALSE(b.join());

  CHECK(eventually([&] { return sees(b, 2); }));

  CHECK(a.self().address == "127.0.0.9:4400");
  CHECK(b.region_nodes("syd") == std::vector{a.self()});
}

TEST_CASE("on loopback a node dials from the address on which it listens") {
  auto bound = bind_tcp({"127.0.0.1", 0});
  REQUIRE(bound);
  auto& listening = *bound;
  REQUIRE_FALSE(listen_tcp(listening, {"127.0.0.1", 0}));
  auto settings = quick_node("syd", {to_string(local_address(listening, {"127.0.0.1", 0}))});
  settings.listen = "127.0.0.9";
  node a{settings};
  REQUIRE_FALSE(a.join());

  sockaddr_in from{};
  socklen_t size = sizeof(from);
  pollfd dialled{listening.descriptor(), POLLIN, 0};
  REQUIRE(::poll(&dialled, 1, 5000) == 1);
  socket_owner accepted{
      ::accept(listening.descriptor(), reinterpret_cast<sockaddr*>(&from), &size)};

  CHECK(accepted.descriptor() >= 0);
  CHECK(std::string{::inet_ntoa(from.sin_addr)} == "127.0.0.9");
}

TEST_CASE("a node that leaves is gone at once") {
  node stays{quick_node("syd")};
  REQUIRE_FALSE(stays.join());
  auto heard = std::make_shared<memory_listener>();
  stays.listen(heard);
  node leaves{quick_node("lax", {stays.self().address})};
  REQUIRE_FALSE(leaves.join());
  REQUIRE(eventually([&] { return sees(stays, 2) && sees(leaves, 2); }));
  auto channel_to = stays.channel_to(leaves.self().id);
  REQUIRE(channel_to);

  auto began = std::chrono::steady_clock::now();
  leaves.leave();
  leaves.leave();

  CHECK(std::chrono::steady_clock::now() - began < 3s);
  CHECK(eventually([&] { return stays.members().size() == 1; }, 1s)); // before it is suspect
  CHECK(leaves.members() == std::vector{leaves.self()});
  CHECK(eventually([&] { return heard->downs().size() == 1; }));
  CHECK(heard->downs().front() == channel_to);
  CHECK_FALSE(channel_to->is_open());
  CHECK(channel_to->send(frame_kind::first_user, {}) == errc::no_such_member);
  CHECK_FALSE(stays.channel_to(leaves.self().id));
  auto again = leaves.join();
  REQUIRE(again);
  CHECK(again == errc::shutting_down);
  stays.unlisten(heard.get());
}

TEST_CASE("a new incarnation replaces the older one") {
  node stays{quick_node("syd")};
  REQUIRE_FALSE(stays.join());
  auto settings = quick_node("lax", {stays.self().address});
  settings.machine_id = "m1";
  auto first = std::make_unique<node>(settings);
  REQUIRE_FALSE(first->join());
  REQUIRE(eventually([&] { return stays.region_nodes("lax").size() == 1; }));

  node second{settings}; // beside the first, as in a restart that overlaps
  REQUIRE_FALSE(second.join());

  CHECK(eventually([&] { return stays.region_nodes("lax") == std::vector{second.self()}; }));
  std::this_thread::sleep_for(300ms); // the first one dials on, and is refused
  CHECK(stays.region_nodes("lax") == std::vector{second.self()});
  CHECK(first->self().incarnation < second.self().incarnation);
}

TEST_CASE("announcements reach the others, and a later member too") {
  node a{quick_node("syd")};
  REQUIRE_FALSE(a.join());
  node b{quick_node("lax", {a.self().address})};
  b.announce_services("greet");
  REQUIRE_FALSE(b.join());
  auto heard = std::make_shared<memory_listener>();
  a.listen(heard);
  auto view_of_b = [&b](const node& from) {
    for (auto& view : from.views())
      if (view.who == b.self())
        return view;
    return member_view{};
  };
  CHECK(eventually([&] { return view_of_b(a).services == "greet"; }));

  b.announce({.role = claim::role::primary, .system = 1, .timeline = 3, .lsn = 100});
  b.announce_load(17);

  CHECK(eventually([&] { return view_of_b(a).database.timeline == 3; }, 1s));
  CHECK(eventually([&] { return view_of_b(a).load == 17; }));
  CHECK(eventually([&] { return view_of_b(a).round_trip > 0us; }));
  CHECK(a.primary_region() == "lax"); // the database wins over the label
  CHECK(a.leader() == b.self());
  CHECK(b.is_primary());
  CHECK_FALSE(a.is_primary());
  node c{quick_node("ams", {b.self().address})};
  REQUIRE_FALSE(c.join());
  CHECK(eventually([&] {
    auto view = view_of_b(c);
    return view.services == "greet" && view.database.timeline == 3;
  }));
  CHECK(heard->changes > 0);
  a.unlisten(heard.get());
}

namespace {

bool takes_connections(const node& who) {
  auto dialled = start_connect(*parse_socket_address(who.self().address, 0));
  if (!dialled)
    return false;
  pollfd reached{dialled->descriptor(), POLLOUT, 0};
  return ::poll(&reached, 1, 5000) == 1 && (reached.revents & POLLERR) == 0;
}

} // namespace

TEST_CASE("a node that gets no thread for DNS has not joined, and joins once there is one") {
  dns_server dns;
  auto settings = quick_node("syd");
  settings.app = "shop";
  settings.dns_server = dns.address();
  node a{settings};
  pthread_attr_t usual;
  REQUIRE(::pthread_getattr_default_np(&usual) == 0);
  auto impossible = usual;
  ::pthread_attr_setstacksize(&impossible, std::size_t{1} << 50);
  REQUIRE(::pthread_setattr_default_np(&impossible) == 0);

  auto problem = a.join();

  REQUIRE(::pthread_setattr_default_np(&usual) == 0);
  CHECK(problem == errc::overloaded);
  CHECK_FALSE(takes_connections(a));
  CHECK_FALSE(a.join());
  CHECK(takes_connections(a));
}

TEST_CASE("what a node announces before it joins takes the room of one, and the last one counts") {
  node a{quick_node("syd")};
  REQUIRE_FALSE(a.join());
  node b{quick_node("lax", {a.self().address})};
  auto before = ::mallinfo2().uordblks;

  for (std::uint32_t i = 1; i <= 20'000; ++i) {
    b.announce({.role = claim::role::unreachable, .reason = std::string(1'000, 'x')});
    b.announce_load(i);
  }

  CHECK(::mallinfo2().uordblks < before + 1'000'000);
  REQUIRE_FALSE(b.join());
  CHECK(eventually([&] {
    auto views = a.views();
    return views.size() == 2 && views.front().who == b.self() && views.front().load == 20'000 &&
           views.front().database.role == claim::role::unreachable;
  }));
}

TEST_CASE("an observer sees everybody and is in no list") {
  node a{quick_node("syd")};
  REQUIRE_FALSE(a.join());
  auto settings = quick_node("lax", {a.self().address});
  settings.observer = true;

  node visitor{settings};
  REQUIRE_FALSE(visitor.join());

  CHECK(eventually([&] { return visitor.members() == std::vector{a.self()}; }));
  CHECK(visitor.self().address.empty());
  CHECK(a.members() == std::vector{a.self()});
  CHECK(eventually([&] { return a.channel_to(visitor.self().id) != nullptr; }));
}

TEST_CASE("an observer with the environment of a member's machine does not pass for the member") {
  node a{quick_node("syd")};
  REQUIRE_FALSE(a.join());
  auto settings = quick_node("lax", {a.self().address});
  settings.machine_id = "m1";
  node b{settings};
  REQUIRE_FALSE(b.join());
  REQUIRE(eventually([&] { return sees(a, 2) && sees(b, 2); }));
  auto before = a.channel_to("m1");
  settings.observer = true;
  settings.peers.push_back(b.self().address);

  node visitor{settings};
  REQUIRE_FALSE(visitor.join());

  CHECK(eventually([&] { return sees(visitor, 2); }));
  CHECK(eventually([&] { return a.channel_to(visitor.self().id) != nullptr; }));
  CHECK(a.channel_to("m1") == before);
  CHECK(before->is_open());
  CHECK(sees(a, 2));
}

TEST_CASE("a port that is taken is an error that names it") {
  node first{quick_node("syd")};
  REQUIRE_FALSE(first.join());
  auto settings = quick_node("lax");
  settings.listen = first.self().address;

  node second{settings};
  auto problem = second.join();

  REQUIRE(problem);
  CHECK(problem == errc::cannot_listen);
  CHECK(fly::text_of(problem).find(first.self().address) != std::string::npos);
}

TEST_CASE("bad options are told by join, not by the constructor") {
  auto settings = quick_node("two words");
  node bad{settings};

  auto problem = bad.join();

  REQUIRE(problem);
  CHECK(problem == errc::invalid_argument);
  CHECK(fly::text_of(problem).find("region") != std::string::npos);
}

TEST_CASE("a log that throws ends nobody") {
  std::atomic<int> lines{0};
  auto settings = quick_node("syd");
  settings.log = [&](log_level, std::string_view) {
    if (++lines % 2 == 0)
      throw std::runtime_error("the disk is full");
    throw 28;
  };
  node a{settings};
  REQUIRE_FALSE(a.join());
  {
    settings.region = "lax";
    settings.peers = {a.self().address};
    node b{settings};
    REQUIRE_FALSE(b.join());

    CHECK(eventually([&] { return sees(a, 2) && sees(b, 2); }));
  }

  CHECK(eventually([&] { return sees(a, 1); }));
  CHECK(lines > 1);
}

TEST_CASE("a node runs on a lent actor system that was prepared") {
  caf::actor_system_config config;
  prepare(config);
  prepare(config); // changes nothing
  caf::actor_system system{config};
  node a{system, quick_node("syd")};
  node b{system, quick_node("lax", {a.self().address})};

  REQUIRE_FALSE(a.join());
  REQUIRE_FALSE(b.join());

  CHECK(eventually([&] { return sees(a, 2) && sees(b, 2); }));
  CHECK(&a.system() == &system);
}

TEST_CASE("a lent actor system that was not prepared is refused") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  node lost{system, quick_node("syd")};

  auto problem = lost.join();

  REQUIRE(problem);
  CHECK(problem == errc::invalid_argument);
  CHECK(fly::text_of(problem).find("prepare") != std::string::npos);
}

TEST_CASE("what a node tells can be read while it changes") {
  auto settings = quick_node("syd");
  settings.primary_region = "syd";
  settings.machine_id = "a-machine-whose-name-is-too-long-to-stand-within-the-string";
  node alone{settings};
  REQUIRE_FALSE(alone.join());
  std::atomic<bool> over{false};
  std::thread changing{[&] {
    for (std::uint64_t i = 0; !over; ++i)
      alone.announce({.role = claim::role::primary, .system = 1, .timeline = 1, .lsn = i});
  }};

  bool same = true;
  for (auto end = std::chrono::steady_clock::now() + 500ms; std::chrono::steady_clock::now() < end;)
    same = same && alone.members().front().id == settings.machine_id && alone.is_primary() &&
           alone.views().front().who.id == settings.machine_id;
  over = true;
  changing.join();

  CHECK(same);
}

TEST_CASE("a node may outlive the thread-locals of its thread, as a static one does") {
  bool joined = false;
  std::thread{[&] {
    // Made before CAF's own thread-local, and so destroyed after it.
    thread_local std::unique_ptr<node> last;
    last = std::make_unique<node>(quick_node("syd"));
    joined = !last->join();
  }}.join();

  CHECK(joined);
}

TEST_CASE("a node may be destroyed on another thread than the one that made it") {
  auto it = std::make_unique<node>(quick_node("syd"));
  {
    fly::actors::supervisor tree{it->system(), {}, {}};
    REQUIRE_FALSE(it->join());
  }

  bool done = false;
  std::thread{[&] {
    it.reset();
    done = true;
  }}.join();

  CHECK(done);
}

TEST_CASE("a node that is destroyed before what runs on it says what it waits for") {
  log_lines log;
  auto settings = quick_node("syd");
  settings.log = log.sink();
  auto doomed = std::make_unique<node>(settings);
  REQUIRE_FALSE(doomed->join());
  caf::actor straggler;
  std::thread{[&] { // an own thread, so that CAF's thread-local of it is gone
    straggler = doomed->system().spawn([] { return caf::behavior{[](caf::ok_atom) {}}; });
  }}
      .join();

  std::jthread destroyer{[&] { doomed.reset(); }};
  CHECK(eventually([&] { return log.count("destroy endpoints, databases and supervisors") == 1; }));
  caf::anon_send_exit(straggler, caf::exit_reason::kill);
}

TEST_CASE("prepare leaves what the user has set") {
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("stealing"));
  config.set("middleman.workers", std::size_t{2});

  prepare(config);

  CHECK(caf::get_or(config, "scheduler.policy", caf::atom("")) == caf::atom("stealing"));
  CHECK(caf::get_or(config, "middleman.workers", std::size_t{9}) == 2);
}
