// Proves that a caller who waits alone reads its answer in its own thread, over plain and encrypted
// links, and that everybody else is answered as before while it does.
#include "fly/rpc/answer_reader.hpp"

#include <atomic>
#include <functional>
#include <thread>
#include <utility>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "shops.hpp"
#include "tests/cluster/certified.hpp"

using namespace fly;
using namespace fly::test;
using namespace std::chrono_literals;

namespace {

/// Takes as many milliseconds as it is told.
constexpr rpc::function<int(int)> slow{"shop.slow"};

/// Counts where it is decoded, and throws what is no std::exception where it is to.
struct parcel {
  std::string text;

  static inline std::atomic<int> decoded{0};
};

template <class Inspector>
auto inspect(Inspector& f, parcel& x) {
  auto result = f(caf::meta::type_name("shop::parcel"), x.text);
  if (Inspector::writes_state) {
    ++parcel::decoded;
    if (x.text == "throw")
      throw 42;
  }
  return result;
}

constexpr rpc::function<parcel(std::string)> wrap{"shop.wrap"};

/// Two nodes with an endpoint each; calls of lax note in which thread they are answered, unless
/// `plain`.
struct two_shops {
  explicit two_shops(const std::function<void(cluster::options&, const char*)>& change = {},
                     bool plain = false) {
    auto options = [&](const char* region, std::vector<std::string> peers = {}) {
      auto result = shop_options(region, std::move(peers));
      if (change)
        change(result, region);
      return result;
    };
    syd = std::make_unique<cluster::node>(options("syd"));
    to_syd = std::make_unique<rpc::endpoint>(*syd);
    to_syd->serve(shop::shout, {.on_io_thread = true}, [](std::string text) { return text + "!"; });
    REQUIRE_FALSE(syd->join());
    lax = std::make_unique<cluster::node>(options("lax", {syd->self().address}));
    rpc::endpoint_options noting;
    if (!plain)
      noting.on_call.emplace_back([this](rpc::outgoing_call& call) -> caf::error {
        call.reply = [this, reply = std::move(call.reply)](caf::expected<rpc::bytes> outcome) {
          answered_in = std::this_thread::get_id();
          if (auto what = std::exchange(on_outcome, nullptr))
            what();
          reply(std::move(outcome));
        };
        return {};
      });
    to_lax = std::make_unique<rpc::endpoint>(*lax, noting);
    to_lax->serve(shop::shout, [](std::string text) { return text + "?"; });
    REQUIRE_FALSE(lax->join());
    REQUIRE(rpc_region(*to_lax, "syd", shop::shout, "first"));
    REQUIRE(rpc_region(*to_syd, "lax", shop::shout, "first"));
  }

  bool calls(const std::string& text) {
    auto answer = rpc_region(to_lax->with({.timeout = 5s}), "syd", shop::shout, text);
    return answer && *answer == text + "!";
  }

  /// Calls until an answer comes in the calling thread.
  bool reads_its_own() {
    return eventually(
        [&] { return calls("x") && answered_in.load() == std::this_thread::get_id(); });
  }

  void serves_slowly() {
    to_syd->serve(slow, [this](int ms) {
      begun = true;
      std::this_thread::sleep_for(std::chrono::milliseconds{ms});
      return ms;
    });
  }

  std::function<void()> on_outcome{}; // of the next call
  std::atomic<bool> begun{false};
  std::atomic<std::thread::id> answered_in{};
  std::unique_ptr<cluster::node> syd;
  std::unique_ptr<rpc::endpoint> to_syd;
  std::unique_ptr<cluster::node> lax;
  std::unique_ptr<rpc::endpoint> to_lax;
};

int own_of_100(two_shops& between) {
  int result = 0;
  for (int i = 0; i < 100; ++i)
    if (between.calls("x") && between.answered_in.load() == std::this_thread::get_id())
      ++result;
  return result;
}

} // namespace

TEST_CASE("one caller reads its answers in its own thread, also long ones") {
  two_shops between;
  REQUIRE(between.reads_its_own());
  // A heartbeat takes one away now and then, and a busy machine more.
  CHECK(eventually([&] { return own_of_100(between) > 90; }));
  for (std::size_t length : {0, 1'000, 70'000, 200'000}) {
    CHECK(between.calls(std::string(length, 'x')));
    CHECK(between.calls("short"));
  }
  CHECK(eventually([&] { return own_of_100(between) > 50; }));
}

TEST_CASE("one caller reads its answers off an encrypted link") {
  certified by;
  two_shops between{[&](cluster::options& options, const char* region) {
    options.app = "shop";
    options.secret = "a secret";
    options.tls = by.files(region);
  }};
  REQUIRE(between.reads_its_own());
  CHECK(eventually([&] { return own_of_100(between) > 90; }));
  for (std::size_t length : {0, 1'000, 70'000, 200'000}) {
    CHECK(between.calls(std::string(length, 'x')));
    CHECK(between.calls("short"));
  }
}

TEST_CASE("an error of the function, and a signature that differs, reach who reads himself") {
  static constexpr rpc::function<int(int)> fails{"shop.fails"};
  static constexpr rpc::function<int(std::string)> differs{"shop.fails"};
  two_shops between;
  between.to_syd->serve(fails, {.on_io_thread = true},
                        [](int) -> int { throw std::runtime_error{"no"}; });
  REQUIRE(eventually([&] {
    auto answer = rpc_region(*between.to_lax, "syd", fails, 1);
    return !answer && answer.error() == errc::function_failed;
  }));
  REQUIRE(between.reads_its_own());

  auto failed = rpc_region(*between.to_lax, "syd", fails, 1);
  REQUIRE_FALSE(failed);
  CHECK(failed.error() == errc::function_failed);
  auto mismatch = rpc_region(*between.to_lax, "syd", differs, "x");
  REQUIRE_FALSE(mismatch);
  CHECK(mismatch.error() == errc::signature_mismatch);
  CHECK(eventually([&] { return own_of_100(between) > 50; }));
}

TEST_CASE("calls from the other side are answered while a caller reads") {
  two_shops between;
  std::atomic<bool> ending{false};
  std::atomic<int> failed{0};
  std::atomic<int> asked{0};
  std::thread other{[&] {
    while (!ending) {
      auto answer = rpc_region(between.to_syd->with({.timeout = 5s}), "lax", shop::shout, "y");
      failed += answer && *answer == "y?" ? 0 : 1;
      ++asked;
    }
  }};
  std::vector<std::thread> beside;
  for (int t = 0; t < 2; ++t)
    beside.emplace_back([&] {
      for (int i = 0; i < 2'000; ++i)
        failed += between.calls(std::to_string(i)) ? 0 : 1;
    });
  for (auto& thread : beside)
    thread.join();
  ending = true;
  other.join();

  CHECK(failed == 0);
  CHECK(asked > 0);
  CHECK(between.reads_its_own());
}

TEST_CASE("a call that outlasts the turn is answered, and so is who asks meanwhile") {
  two_shops between;
  between.serves_slowly();
  REQUIRE(between.reads_its_own());

  std::thread waits{[&] {
    auto answer = rpc_region(between.to_lax->with({.timeout = 5s}), "syd", slow, 200);
    CHECK(answer == 200);
  }};
  std::this_thread::sleep_for(1ms);
  for (int i = 0; i < 100; ++i)
    CHECK(between.calls("x"));
  waits.join();
}

TEST_CASE("a deadline within the turn holds") {
  two_shops between;
  between.serves_slowly();
  REQUIRE(between.reads_its_own());
  auto took = time_of([&] {
    auto late = rpc_region(between.to_lax->with({.timeout = 2ms}), "syd", slow, 1000);
    REQUIRE_FALSE(late);
    CHECK((late.error() == errc::timeout || late.error() == errc::no_node_in_region));
  });
  CHECK(took < 700ms); // of a second that the function takes
  CHECK(between.calls("x"));
}

TEST_CASE("who reads himself hears at once that the member is gone") {
  two_shops between;
  between.serves_slowly();
  REQUIRE(between.reads_its_own());
  std::thread leaves{[&] {
    CHECK(eventually([&] { return between.begun.load(); }));
    between.syd->leave();
  }};
  auto lost = rpc_region(between.to_lax->with({.timeout = 20s}), "syd", slow, 1000);
  leaves.join();
  CHECK((lost || lost.error() == errc::member_lost)); // it may have ended before the leaving

  auto nobody = rpc_region(between.to_lax->with({.timeout = 100ms}), "syd", shop::shout, "x");
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error() == errc::no_node_in_region);
}

TEST_CASE("a caller that reads does not keep its endpoint from closing") {
  two_shops between;
  between.serves_slowly();
  REQUIRE(between.reads_its_own());
  std::thread leaves{[&] {
    CHECK(eventually([&] { return between.begun.load(); }));
    between.lax->leave();
  }};
  auto lost = rpc_region(between.to_lax->with({.timeout = 20s}), "syd", slow, 300);
  CHECK((lost || effect_of(lost.error()) == effect::unknown));
  leaves.join();
}

TEST_CASE("a result that its caller reads is decoded where it lies") {
  two_shops between{{}, true};
  between.to_syd->serve(wrap, {.on_io_thread = true},
                        [](std::string text) { return parcel{std::move(text)}; });
  int before = 0;
  int decoded_first = 0;
  between.to_lax->observe([&](const rpc::call_report&) {
    if (parcel::decoded > before)
      ++decoded_first;
  });
  auto wraps = [&](const std::string& text) {
    before = parcel::decoded;
    return rpc_region(between.to_lax->with({.timeout = 5s}), "syd", wrap, text);
  };

  CHECK(eventually([&] { return wraps("x") && decoded_first > 0; }));
  decoded_first = 0;
  for (int i = 0; i < 100; ++i)
    CHECK(wraps(std::to_string(i)).value().text == std::to_string(i));
  CHECK(decoded_first > 10); // of the others another thread was the reader, on a busy machine

  auto thrown = wraps("throw");
  REQUIRE_FALSE(thrown);
  CHECK(thrown.error() == errc::malformed_result);
  CHECK(wraps("after")->text == "after");
  decoded_first = 0;
  auto long_one = wraps(std::string(200'000, 'x'));
  REQUIRE(long_one);
  CHECK(long_one->text.size() == 200'000);
  CHECK(decoded_first == 0); // what comes behind it must not wait for that
}

TEST_CASE("a blocking call is refused where an outcome is dealt with, whoever reads it") {
  two_shops shops;
  bool own = false;
  bool others = false;

  for (int i = 0; i < 1000 && !(own && others); ++i) {
    caf::error refused;
    shops.on_outcome = [&] {
      auto within = rpc_region(shops.to_lax->with({.timeout = 3s}), "syd", shop::shout, "within");
      refused = within ? caf::error{} : within.error();
    };
    REQUIRE(shops.calls("x"));
    REQUIRE(refused == errc::blocking_refused);
    bool here = shops.answered_in.load() == std::this_thread::get_id();
    own = own || here;
    others = others || !here;
  }

  CHECK(own);
  CHECK(others);
  CHECK(shops.calls("after it"));
}
