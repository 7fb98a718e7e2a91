#include "tests/chaos/clients.hpp"

#include <memory>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/exec.hpp"
#include "fly/repo/rpc_and_wait.hpp"
#include "fly/rpc/codec.hpp"
#include "fly/rpc/verbs.hpp"
#include "tests/chaos/contract.hpp"
#include "tests/chaos/lists.hpp"

namespace fly::chaos {

using namespace std::chrono_literals;
using testing::action;
using testing::event;

namespace {

constexpr std::chrono::milliseconds write_timeout{2000};
/// Longer than a leader is frozen: its write comes back in time, and must be refused by the fence.
constexpr std::chrono::milliseconds lead_timeout{6000};
constexpr std::chrono::milliseconds read_timeout{1000};
constexpr int values_a_list = 16;

} // namespace

/// One user at a time in one thread: writes to a list and reads it, here and elsewhere.
class clients::user {
public:
  user(clients& all, std::size_t number)
      : all_(all), number_(number), random_(all.options_.seed * 31 + number) {
    begin_list();
  }

  void run() {
    while (!all_.ending_) {
      if (count_ == values_a_list) {
        if (number_ == 1)
          browse();
        begin_list();
      }
      number_ == 2 ? write_on_leader() : write();
      if (number_ != 2)
        chance(50) ? read_here() : read_elsewhere();
      all_.pause();
    }
  }

private:
  bool chance(unsigned percent) { return random_() % 100 < percent; }

  /// For a while the user has nothing but the token of a write that is long ago.
  void browse() {
    for (int i = 0; i < 30 && !all_.ending_; ++i) {
      i % 2 == 0 ? read_here() : read_elsewhere();
      for (int n = 0; n < 4; ++n)
        all_.pause();
    }
  }

  /// A new user with a new list.
  void begin_list() {
    count_ = 0;
    list_ = all_.options_.process + "/" + std::to_string(number_) + "." + std::to_string(++lists_);
    begin_session();
    std::lock_guard guard{all_.mutex_};
    all_.lists_[number_] = list_;
  }

  /// The same user, of whom it is not known any more what was seen.
  void begin_session() {
    session_ = repo::session{};
    name_ = list_ + "~" + std::to_string(++sessions_);
  }

  event append_event() {
    return {.action = action::write,
            .deadline = write_timeout,
            .key = list_,
            .value = list_ + ":" + std::to_string(++count_),
            .session = name_};
  }

  /// With a key, or without; one that has a key is asked for again where its outcome is unknown,
  /// and now and then where it is known.
  void write() {
    auto what = append_event();
    bool keyed = chance(60);
    if (keyed)
      what.once = "k " + what.value;
    bool again = !attempt(what) || chance(20);
    for (int i = 0; keyed && again && i < 3 && !all_.ending_; ++i)
      again = !attempt(what);
  }

  /// Returns whether the outcome is known. One list in two is written by a verb, in one round trip.
  bool attempt(const event& what) {
    auto begun = all_.into_.begin(what);
    repo::call_options how{.timeout = write_timeout, .session = session_};
    if (!what.once.empty())
      how.key = what.once;
    auto db = all_.db_.with(how);
    if (lists_ % 2 == 0)
      return end(begun, db.insert(note{.list = what.key, .value = what.value}));
    return end(begun, rpc_and_wait(db, append, what.key, what.value));
  }

  void write_on_leader() {
    auto what = append_event();
    what.deadline = lead_timeout;
    auto begun = all_.into_.begin(what);
    auto takes = static_cast<std::int32_t>(random_() % 200);
    auto db = all_.db_.with({.timeout = lead_timeout, .session = session_});
    end(begun, rpc_and_wait(db, lead, begun.key, begun.value, takes));
  }

  template <class Outcome>
  bool end(event begun, const Outcome& outcome) {
    if (!outcome) {
      all_.into_.end(begun, outcome.error());
      return effect_of(outcome.error()) != effect::unknown;
    }
    begun.visible = outcome->visible();
    begun.position = to_string(outcome->position());
    if (outcome->late())
      begun.note = fly::to_string(outcome->late());
    all_.into_.end(begun, testing::phase::ok);
    if (session_.uncertain())
      begin_session();
    return true;
  }

  void read_here() {
    auto begun = begin_read();
    auto values = all_.db_.with({.timeout = read_timeout, .session = session_})
                      .read([&](pqxx::transaction_base& tx) { return read_list(tx, list_); });
    end_read(std::move(begun), std::move(values));
  }

  /// The user goes to another region, with nothing but a token.
  void read_elsewhere() {
    auto where = session_.position();
    if (!where)
      return;
    auto begun = begin_read();
    const auto& region = all_.options_.regions[random_() % all_.options_.regions.size()];
    auto seen = rpc_region(all_.rpc_.with({.timeout = read_timeout}), region, read_at, list_,
                           all_.db_.token(*where));
    if (!seen)
      return end_read(std::move(begun), std::move(seen.error()));
    end_read(std::move(begun), std::move(seen->first));
    if (auto now = all_.db_.parse_token(seen->second))
      session_ = repo::session{*now};
    else
      begin_session();
  }

  event begin_read() {
    return all_.into_.begin(
        {.action = action::read, .deadline = read_timeout, .key = list_, .session = name_});
  }

  void end_read(event begun, caf::expected<std::vector<std::string>> values) {
    if (!values) {
      all_.into_.end(begun, values.error());
      if (values.error() == errc::may_be_lost || values.error() == errc::foreign_position)
        begin_session();
      return;
    }
    begun.values = std::move(*values);
    all_.into_.end(begun, testing::phase::ok);
    if (session_.uncertain())
      begin_session();
  }

  clients& all_;
  std::size_t number_;
  std::minstd_rand random_;
  std::string list_;
  std::string name_;
  repo::session session_;
  int lists_ = 0;
  int sessions_ = 0;
  int count_ = 0;
};

clients::clients(rpc::endpoint& rpc, repo::database& db, testing::recorder& into, options given)
    : rpc_(rpc), db_(db), into_(into), options_(std::move(given)) {
  for (std::size_t i = 0; i < users_max; ++i)
    threads_.emplace_back([this, i] { user{*this, i}.run(); });
  threads_.emplace_back([this] { watch_others(); });
}

clients::~clients() {
  ending_ = true;
  for (auto& each : threads_)
    each.join();
}

void clients::pause() const {
  std::this_thread::sleep_for(options_.pause);
}

/// Reads without a session what the users write, and calls functions of other nodes.
void clients::watch_others() {
  auto next = std::chrono::steady_clock::now() + 1s;
  for (std::size_t turn = 0; !ending_; ++turn) {
    read_of_another(turn);
    call(turn);
    if (std::chrono::steady_clock::now() > next) {
      crowd();
      next = std::chrono::steady_clock::now() + 2s;
    }
    pause();
    pause();
  }
}

void clients::read_of_another(std::size_t turn) {
  std::string list;
  {
    std::lock_guard guard{mutex_};
    list = lists_[turn % users_max];
  }
  auto begun = into_.begin({.action = action::read, .deadline = read_timeout, .key = list});
  auto values = db_.with({.timeout = read_timeout}).read([&](pqxx::transaction_base& tx) {
    return read_list(tx, list);
  });
  if (!values)
    return into_.end(begun, values.error());
  begun.values = std::move(*values);
  into_.end(begun, testing::phase::ok);
}

/// As a program of its version does: what is refused with signature_mismatch has not run.
void clients::call(std::size_t turn) {
  const auto& region = options_.regions[turn % options_.regions.size()];
  auto rpc = rpc_.with({.timeout = read_timeout});
  auto begun =
      into_.begin({.action = action::call, .deadline = 2 * read_timeout, .key = "chaos.price"});
  auto price = options_.version == 2 ? rpc_region(rpc, region, new_price, "pen", "AUD")
                                     : rpc_region(rpc, region, old_price, "pen");
  if (!price && price.error() == errc::signature_mismatch)
    price = rpc_region(rpc, region, old_price, "pen");
  into_.end(begun, price ? caf::error{} : price.error());
}

/// Asks one member for far more than it may queue: only so many may be answered.
void clients::crowd() {
  constexpr std::size_t asked = 64;
  auto members = rpc_.node().members();
  if (members.empty())
    return;
  const auto& whom = members[static_cast<std::size_t>(testing::now().count()) % members.size()];
  struct counts {
    std::atomic<std::size_t> ended{0};
    std::atomic<std::size_t> answered{0};
  };
  auto all = std::make_shared<counts>();
  auto deadline = std::chrono::steady_clock::now() + read_timeout;
  static const auto wanted = rpc::signature_of<std::int32_t()>();
  for (std::size_t i = 0; i < asked; ++i)
    rpc_.start(rpc::target::member(whom.id), crowded.name, wanted, {}, deadline,
               [all](const caf::expected<rpc::bytes>& answer) {
                 all->answered += answer ? 1 : 0;
                 ++all->ended;
               });
  while (all->ended < asked)
    pause();
  into_.note({.action = action::gauge,
              .key = "answers of " + whom.id + " to a crowd",
              .number = all->answered,
              .bound = 2 * (crowd_queue_max + 1)});
}

} // namespace fly::chaos
