#include "tests/simulation/service.hpp"

#include <algorithm>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/actors/mutant.hpp"
#include "fly/repo/ledger.hpp"
#include "fly/repo/options.hpp"
#include "fly/repo/sql_error.hpp"
#include "fly/repo/write_call.hpp"
#include "fly/repo/write_reply.hpp"
#include "fly/rpc/codec.hpp"
#include "fly/rpc/server.hpp"
#include "tests/simulation/sessions.hpp"

namespace fly::simulation {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

namespace {

constexpr auto order_name = "shop.order";
constexpr auto leader_order_name = "shop.order_of_leader";
constexpr auto greet_name = "shop.greet";

const rpc::signature& order_signature() {
  return repo::write_signature<std::uint64_t, std::uint64_t>();
}

/// The function that differs between the two versions of the program: the second one greets more.
const rpc::signature& greet_signature(bool second) {
  static const rpc::signature old = rpc::signature_of<std::string(std::string)>();
  static const rpc::signature fresh = rpc::signature_of<std::string(std::string, std::int32_t)>();
  return second ? fresh : old;
}

/// Where an entry of the ledger is there: read now, with its transaction id on its own timeline.
repo::position position_of(postgres& server, const tables::ledger_row& row) {
  repo::position result{postgres::system, server.timeline(), server.reached(), {}};
  if (row.timeline == server.timeline())
    result.xid = row.xid;
  return result;
}

repo::options database_options(const service_bounds& bounds) {
  repo::options result;
  result.database_url = "postgresql://shop@localhost/shop";
  result.waiters_max = bounds.waiters_max;
  result.connect_timeout = 1000ms;
  result.fresh_interval = 1000ms;
  result.role_interval = 500ms;
  result.lease = 1500ms;
  return result;
}

} // namespace

service::service(world& all, history& told, machine& host, cluster::node& node, std::string version,
                 service_bounds bounds)
    : world_(all), told_(told), host_(host), node_(node), version_(std::move(version)),
      bounds_(bounds), random_(all.random.next()) {
  rpc_ = std::make_unique<rpc::endpoint>(node_, rpc::endpoint_options{
                                                    .workers = bounds_.workers,
                                                    .queue_max = bounds_.queue_max,
                                                    .calls_max = bounds_.calls_max,
                                                });
  database_ = std::make_shared<repo::database_core>(node_, database_options(bounds_));
  serve();
  all.threads.start(host_, [this] { keep(); });
  all.threads.start(host_, [this] { lead(); });
  use_later();
}

service::~service() {
  fall_silent();
}

/// As the keeper's actor.
void service::keep() {
  for (;;) {
    database_->keep();
    pass(100ms);
  }
}

/// As the leader's actor.
void service::lead() {
  for (;;) {
    database_->leading().look();
    bool may_lead = database_->roles().report().role == repo::database_role::primary;
    pass(may_lead ? 50ms : 200ms);
  }
}

void service::serve() {
  for (bool on_leader : {false, true})
    rpc_->serve_raw(
        on_leader ? leader_order_name : order_name, order_signature().text, {},
        [this, on_leader](const rpc::call_context& context, std::span<const char> arguments) {
          return run_write(context, arguments, on_leader);
        });
  rpc_->serve_raw(
      greet_name, greet_signature(false).text, {},
      [](const rpc::call_context&, std::span<const char> arguments) -> caf::expected<rpc::bytes> {
        std::string whom;
        if (auto bad = rpc::decode(errc::malformed_arguments, arguments, whom))
          return bad;
        pass(1ms);
        return rpc::encode("hello " + whom);
      });
  if (version_ == "v1")
    return;
  rpc_->serve_raw(
      greet_name, greet_signature(true).text, {},
      [](const rpc::call_context&, std::span<const char> arguments) -> caf::expected<rpc::bytes> {
        std::string whom;
        std::int32_t times = 0;
        if (auto bad = rpc::decode(errc::malformed_arguments, arguments, whom, times))
          return bad;
        pass(1ms);
        return rpc::encode(std::to_string(times) + " x hello " + whom);
      });
}

// -- users ----------------------------------------------------------------------------------------

void service::use_later() {
  auto pause = random_.percent(90) ? random_.time(20ms, 600ms) : random_.time(1ms, 20ms);
  world_.when.after(pause, &host_, [this, alive = std::weak_ptr{alive_}] {
    if (alive.expired() || !users_)
      return;
    use();
    use_later();
  });
}

void service::use() {
  auto kind = random_.below(100);
  auto count = random_.percent(2) ? 40 : 1; // a crowd
  for (int i = 0; i < count; ++i) {
    if (kind < 25)
      call();
    else
      write(kind < 85, kind % 3 == 0);
  }
}

void service::write(bool keyed, bool on_leader) {
  auto deadline = clock::now() + std::chrono::milliseconds{random_.between(200, 5000)};
  auto number = told_.begin(host_, deadline, keyed, on_leader);
  auto key = keyed ? "order-" + std::to_string(number) : std::string{};
  auto arguments = rpc::encode(key, number);
  repo::write_call how{
      .rpc = rpc_.get(), .tracker = database_->tracker(), .deadline = deadline, .key = key};
  auto done = [this, number,
               alive = std::weak_ptr{alive_}](caf::expected<repo::raw_committed> outcome) {
    if (alive.expired()) // the machine has crashed
      return;
    if (!outcome)
      return told_.failed(number, outcome.error());
    told_.acknowledged(number, outcome->report);
  };
  auto end = repo::start_write(how, on_leader ? leader_order_name : order_name, order_signature(),
                               std::move(*arguments), std::move(done));
  // As the blocking and the actor's form do.
  world_.when.at(host_.clock.when(deadline, now()), &host_, [end, alive = std::weak_ptr{alive_}] {
    if (!alive.expired())
      end();
  });
}

/// Calls the function that differs between the versions, in the version's own signature.
void service::call() {
  bool second = version_ != "v1";
  auto deadline = clock::now() + std::chrono::milliseconds{random_.between(100, 3000)};
  auto whom = random_.percent(50) ? rpc::target::primary()
                                  : rpc::target::region(random_.percent(50) ? "lax" : "syd");
  // Some names are long, so that what waits for a member that does not read grows.
  auto name = random_.percent(80) ? host_.id : std::string(4000, 'x');
  auto arguments = second ? rpc::encode(name, std::int32_t{3}) : rpc::encode(name);
  auto expected = (second ? "3 x hello " : "hello ") + name;
  ++told_.counts.calls;
  auto reply = [this, expected, alive = std::weak_ptr{alive_}](caf::expected<rpc::bytes> outcome) {
    if (alive.expired() || !outcome)
      return;
    ++told_.counts.answers;
    auto text = rpc::decode_result<std::string>(*outcome);
    if (!text || *text != expected)
      world_.violate("a call of one version was answered by the function of another: " +
                     (text ? *text : fly::to_string(text.error())));
  };
  rpc::call_traits how;
  how.idempotent = random_.percent(50);
  rpc_->start(whom, greet_name, greet_signature(second), std::move(*arguments), deadline,
              std::move(reply), {}, how);
}

// -- writes, at the primary -----------------------------------------------------------------------

/// As database_core does.
caf::error service::left_behind() const {
  auto now = node_.primary();
  if (std::find(now.zombies.begin(), now.zombies.end(), host_.id) == now.zombies.end())
    return {};
  return make_error(errc::not_primary, "the database is an old primary");
}

/// What one transaction holds at its server, until it ends.
struct service::transaction {
  transaction(session& on, std::uint64_t id)
      : server(on.server()), life(server.host().life), id(id) {}
  ~transaction() { release(); }
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;

  void release() {
    if (server.host().life == life) {
      server.unlock(id);
    }
  }

  postgres& server;
  std::uint64_t life;
  std::uint64_t id;
};

caf::expected<rpc::bytes> service::run_write(const rpc::call_context& context,
                                             std::span<const char> arguments, bool on_leader) {
  auto key = repo::take_key(arguments);
  if (!key)
    return std::move(key.error());
  order what{.on_leader = on_leader};
  if (auto bad = rpc::decode(errc::malformed_arguments, arguments, what.number))
    return bad;
  if (auto refused = left_behind())
    return refused;
  if (on_leader) {
    auto held = database_->leading().turn();
    if (!held)
      return std::move(held.error());
    what.turn = *held;
  }
  if (!key->empty())
    what.once = repo::keyed_call(*key, on_leader ? leader_order_name : order_name,
                                 order_signature().fingerprint, arguments);
  auto on = session::open(std::min(context.deadline, clock::now() + 1000ms));
  if (!on)
    return make_error(errc::database_unavailable, text_of(on.error()),
                      {{rpc::not_started_detail, "1"}});
  auto outcome = run_on(context, *on, what);
  if (!outcome && outcome.error() == errc::not_primary)
    database_->roles().refused();
  if (!outcome && on_leader && outcome.error() == errc::not_leader)
    database_->leading().deposed(what.turn);
  return outcome;
}

/// BEGIN, and the claim, which waits for a copy that is running. Nothing: it is claimed.
caf::expected<std::optional<repo::ledger_entry>> service::claim(const rpc::call_context& context,
                                                                session& on,
                                                                const repo::keyed_write* once,
                                                                std::uint64_t xid) {
  auto& server = on.server();
  bool read_only = false;
  std::optional<repo::ledger_entry> entry;
  for (bool waits = true; waits;) {
    auto broken = on.round_trip(context.deadline, [&] {
      read_only = server.in_recovery();
      waits = once != nullptr && !read_only && !server.lock(once->key, xid);
      if (once == nullptr || read_only || waits || fly::mutant("no_ledger"))
        return;
      auto found = server.rows().ledger.find(once->key);
      if (found == server.rows().ledger.end())
        return;
      const auto& row = found->second;
      entry = repo::ledger_entry{row.what, false, {}, position_of(server, row)};
    });
    if (broken)
      return broken;
    if (waits && clock::now() >= context.deadline)
      return make_error(errc::timeout, "another copy was still running at the deadline");
  }
  if (read_only)
    return repo::to_write_error({.severity = "ERROR", .sqlstate = "25006", .message = "read-only"});
  return entry;
}

/// The seal, the fence, COMMIT and the position, in one round trip.
caf::expected<repo::position> service::commit(const rpc::call_context& context, session& on,
                                              const order& what, std::uint64_t xid) {
  auto& server = on.server();
  bool deposed = false;
  std::optional<repo::position> where;
  auto at_server = [&] {
    if (what.on_leader && !fly::mutant("no_epoch_check") && server.rows().epoch != what.turn) {
      deposed = true;
      return;
    }
    auto effect = [what, xid, timeline = server.timeline()](tables& rows) {
      ++rows.orders[what.number];
      if (what.once)
        rows.ledger[what.once->key] = {*what.once, xid, timeline};
    };
    where = server.commit(xid, effect, what.number);
    told_.committed(what.number, server, *where, what.turn,
                    host_.id + "/" + std::to_string(host_.life));
  };
  auto broken = on.round_trip(context.deadline, at_server);
  if ((broken || deposed) && fly::mutant("answer_before_commit"))
    return repo::position{.system = postgres::system, .timeline = 1};
  if (broken)
    return make_error(errc::outcome_unknown, text_of(broken));
  if (deposed)
    return repo::to_write_error(
        {.severity = "ERROR", .sqlstate = repo::epoch_is_over, .message = "the epoch is over"});
  return *where;
}

caf::expected<rpc::bytes> service::run_on(const rpc::call_context& context, session& on,
                                          const order& what) {
  auto xid = on.server().assign_xid();
  transaction held{on, xid};
  auto reply = [&](const repo::position& where, bool repeated) {
    auto value = rpc::encode(what.number);
    return repo::encode_reply({where, 1ms, context.own, repeated}, *value);
  };
  auto first = claim(context, on, what.once ? &*what.once : nullptr, xid);
  if (!first)
    return std::move(first.error());
  if (*first) {
    if (auto refused = repo::check_entry(*what.once, **first))
      return refused;
    return reply((*first)->where, true);
  }
  pass(random_.percent(80)   ? random_.time(0us, 3ms)
       : random_.percent(90) ? random_.time(0us, 400ms)
                             : random_.time(0us, 3s)); // the function
  if (!on.is_open())
    return make_error(errc::database_unavailable, "the connection broke");
  if (auto refused = left_behind())
    return refused;
  if (context.cancelled())
    return make_error(errc::expired, "the caller gave up before the commit: nothing remains");
  auto where = commit(context, on, what, xid);
  if (!where)
    return std::move(where.error());
  return reply(*where, false);
}

} // namespace fly::simulation
