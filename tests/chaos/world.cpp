#include "tests/chaos/world.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include "apps/local/environment.hpp"
#include "apps/local/eventually.hpp"
#include "apps/local/postgres_process.hpp"

namespace fly::chaos {

using local::eventually;

namespace {

constexpr milliseconds usual_delay{10};
/// A replica is later than the answer of a write.
constexpr milliseconds replication_delay{30};

/// Lists, and beside a leader's value the epoch in which it was begun and committed: the trigger
/// runs with the COMMIT, after the fence.
constexpr auto tables = R"(
CREATE TABLE notes (id bigserial PRIMARY KEY, list text NOT NULL, value text NOT NULL,
                    begun bigint, committed bigint);
CREATE INDEX ON notes (list);
ALTER TABLE notes OWNER TO app;
CREATE FUNCTION chaos_epoch() RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
  RETURN (SELECT timeline * 1000000 + counter FROM fly.epoch);
END $$;
CREATE FUNCTION chaos_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE public.notes SET committed = public.chaos_epoch() WHERE id = NEW.id;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.begun IS NOT NULL) EXECUTE FUNCTION chaos_commit();
)";

} // namespace

void nap(milliseconds how_long) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  timespec time{.tv_sec = how_long.count() / 1000, .tv_nsec = how_long.count() % 1000 * 1'000'000};
  if (::sigtimedwait(&ends, nullptr, &time) > 0)
    throw interrupted{};
}

world::world(std::filesystem::path folder, std::uint64_t seed)
    : folder_(std::move(folder)), seed_(seed), port_(local::free_port()),
      record_((folder_ / "nemesis.jsonl").string(), "nemesis") {
  int host = 0;
  for (auto [region, count] : {std::pair{0, 2}, {1, 2}, {2, 1}})
    for (int i = 1; i <= count; ++i) {
      machine next;
      next.region = static_cast<std::size_t>(region);
      next.id = std::string{region_names.at(next.region)} + "-" + std::to_string(i);
      next.host = ++host;
      machines.push_back(std::move(next));
    }
  start_databases();
  start_names();
  for (std::size_t region = 0; region < region_count; ++region)
    net.delay(region, usual_delay);
  for (auto& each : machines)
    start(each);
}

world::~world() {
  machines.clear(); // kills
}

void world::start_databases() {
  servers_ = std::make_unique<local::postgres>(local::postgres_options{
      .settings = {"wal_log_hints = on", "wal_keep_size = 256MB", "max_connections = 150",
                   "wal_retrieve_retry_interval = 200ms", "shared_buffers = 32MB"}});
  auto& first = servers_->primary();
  first.sql(tables);
  first.stop();
  servers_of_[0] = &first;
  start_server(0);
  auto at = [](std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); };
  for (std::size_t region : {1U, 2U}) {
    through_[region][0] = net.connect(region, 0, at(0), at(first.port()), replication_delay);
    net.inside(region,
               [&] { servers_of_[region] = &servers_->add_replica(first, through_[region][0]); });
  }
  for (std::size_t from = 0; from < region_count; ++from)
    for (std::size_t to : {1U, 2U})
      if (from != to)
        through_[from][to] = net.connect(from, to, at(0), at(server(to).port()), replication_delay);
}

/// As region `viewer` sees it: at its own address, or at the end of a line.
std::string world::address_for(std::size_t viewer, const machine& which) const {
  auto net = which.region == viewer ? 9 : 10 + static_cast<int>(viewer);
  return "127.0." + std::to_string(net) + "." + std::to_string(which.host);
}

void world::start_names() {
  for (std::size_t region = 0; region < region_count; ++region) {
    net.inside(region, [&] { dns_[region] = std::make_unique<local::dns_server>(); });
    for (const auto& each : machines)
      if (each.region != region)
        net.connect(region, each.region, address_for(region, each) + ":" + std::to_string(port_),
                    address_for(each.region, each) + ":" + std::to_string(port_), 0ms);
  }
  set_hosts(0);
}

void world::set_hosts(int old_addresses) {
  for (std::size_t region = 0; region < region_count; ++region) {
    std::vector<std::pair<std::string, std::string>> hosts;
    for (int i = 0; i < old_addresses; ++i)
      hosts.emplace_back("127.0.7." + std::to_string(i + 1), "chaos.internal");
    for (const auto& each : machines)
      hosts.emplace_back(address_for(region, each), "chaos.internal");
    dns(region).set_hosts(hosts);
  }
}

void world::start(machine& which) {
  ++which.life;
  auto name = which.id + "." + std::to_string(which.life);
  // Others find it by the name servers alone, each region at an address of its own.
  auto advertised = "127.0.8." + std::to_string(which.host);
  std::vector<std::string> arguments{
      which.version == 2 ? FLY_CHAOS_NODE_2 : FLY_CHAOS_NODE_1,
      "--region",
      region_names.at(which.region),
      "--primary-region",
      region_names.at(0),
      "--app",
      "chaos",
      "--app-version",
      "v" + std::to_string(which.version),
      "--machine-id",
      which.id,
      "--listen",
      address_for(which.region, which),
      "--advertise",
      advertised,
      "--port",
      std::to_string(port_),
      "--dns-server",
      dns(which.region).address(),
      "--discovery-interval",
      "200",
      "--heartbeat",
      "200",
      "--silence-max",
      "1500",
      "--lease",
      "2000",
      "--database-url",
      server(which.region).url(),
      "--history",
      (folder_ / (name + ".jsonl")).string(),
      "--life",
      std::to_string(which.life),
      "--seed",
      std::to_string(seed_ + static_cast<std::uint64_t>(which.host))};
  local::variables environment{{"FLY_SECRET", "chaos"}};
  if (const char* mutant = std::getenv("FLY_MUTANT")) // of a build that has them
    environment.emplace_back("FLY_MUTANT", mutant);
  net.inside(which.region, [&] {
    which.running = std::make_unique<local::process>(
        local::process_setup{.arguments = std::move(arguments),
                             .environment = local::environment_with(environment),
                             .log = folder_ / (name + ".log")});
  });
}

void world::kill(machine& which) {
  which.running->signal(SIGKILL);
  which.running->signal(SIGCONT);
  eventually([&] { return which.running->ended().has_value(); });
}

void world::stop(machine& which) {
  local::stop_all({which.running.get()}, 5s);
}

std::string world::sql(std::size_t region, const std::string& text) {
  std::string result;
  net.inside(region, [&] { result = server(region).sql(text); });
  return result;
}

void world::start_server(std::size_t region) {
  net.inside(region, [&] { server(region).start(); });
}

void world::promote(std::size_t next) {
  sql(next, "SELECT pg_promote()");
  auto old = std::exchange(primary, next);
  for (std::size_t region = 0; region < region_count; ++region)
    if (region != next && region != old)
      net.inside(region,
                 [&] { server(region).follow_instead(server(next), through_[region][next]); });
}

void world::rebuild(std::size_t region, bool by_rewind) {
  net.inside(region, [&] {
    if (by_rewind)
      servers_->rewind(server(region), server(primary), through_[region][primary]);
    else
      servers_->rebuild(server(region), server(primary), through_[region][primary]);
  });
}

bool world::streams(std::size_t region) {
  // By the primary's word: a replica that cannot follow to a timeline does not know of it either.
  auto timeline = sql(
      primary, "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int");
  return sql(region, "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming' AND "
                     "received_tli = " +
                         timeline) == "1";
}

machine* world::leader() {
  auto id = sql(primary, "SELECT holder FROM fly.lease WHERE expires > clock_timestamp()");
  auto found = std::find_if(machines.begin(), machines.end(),
                            [&](const machine& each) { return each.id == id; });
  return found == machines.end() ? nullptr : &*found;
}

} // namespace fly::chaos
