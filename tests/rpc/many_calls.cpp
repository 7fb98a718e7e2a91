// fly_many_calls --calls N: that many calls from 100 threads and actors to two members, functions
// on the I/O thread and on workers. Every answer must be the one of its own call, and none may fail
// or be lost; at the end nothing is under way, and no descriptor more is open than before.
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <boost/program_options.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>

#include "fly/actors/error.hpp"
#include "shops.hpp"
#include "tests/support/program.hpp"

namespace po = boost::program_options;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t threads = 60;
constexpr std::size_t actors = 40;

/// What is asked: who asks, for the how manieth time, and bytes that must come back.
using question = fly::rpc::function<std::string(std::uint32_t, std::uint64_t, std::string)>;
inline constexpr question on_io{"many.on_io"};
inline constexpr question on_pool{"many.on_pool"};

std::string answer_to(std::uint32_t caller, std::uint64_t number, const std::string& text) {
  return std::to_string(caller) + "/" + std::to_string(number) + "/" + text;
}

void serve(fly::test::shop_node& member) {
  member.rpc->serve(on_io, {.on_io_thread = true}, answer_to);
  member.rpc->serve(on_pool, answer_to);
}

/// The bytes of a call: of every length up to some kilobytes, and now and then a long one.
std::string text_of(std::uint32_t caller, std::uint64_t number) {
  auto size =
      number % 997 == 0 ? 100'000 : (number * 31 + caller * 7) % (number % 10 == 0 ? 4000 : 60);
  return std::string(size, static_cast<char>('a' + (caller + number) % 26));
}

/// What all callers do together.
class tally {
public:
  explicit tally(std::uint64_t calls) : calls_(calls) {}

  /// Returns whether another call is to be made.
  bool begin() { return begun_.fetch_add(1) < calls_; }

  void right() { ++right_; }

  void wrong(const std::string& what) {
    std::lock_guard guard{mutex_};
    if (wrong_++ < 10)
      std::cerr << "wrong: " << what.substr(0, 200) << '\n';
  }

  void check(std::uint32_t caller, std::uint64_t number, const caf::expected<std::string>& got) {
    if (!got)
      wrong(fly::to_string(got.error()));
    else if (*got != answer_to(caller, number, text_of(caller, number)))
      wrong("another caller's answer: " + *got);
    else
      right();
  }

  bool print() const {
    std::cout << right_ << " of " << calls_ << " calls got their own answer, " << wrong_
              << " failed or got another\n";
    return right_ == calls_ && wrong_ == 0;
  }

private:
  const std::uint64_t calls_;
  std::atomic<std::uint64_t> begun_{0};
  std::atomic<std::uint64_t> right_{0};
  std::mutex mutex_;
  std::uint64_t wrong_ = 0; // guarded by mutex_
};

const question& function_of(std::uint64_t number) {
  return number % 2 == 0 ? on_io : on_pool;
}

fly::rpc::bound_endpoint bound(const fly::test::shop_node& caller) {
  return caller.rpc->with({.timeout = 60s});
}

void call_from_thread(const fly::test::shop_node& from, std::uint32_t caller, tally& all) {
  for (std::uint64_t number = 0; all.begin(); ++number)
    all.check(caller, number,
              fly::rpc_region(bound(from), "syd", function_of(number), caller, number,
                              text_of(caller, number)));
}

void call_next(caf::event_based_actor* self, const fly::test::shop_node* from, std::uint32_t caller,
               std::uint64_t number, tally* all) {
  if (!all->begin())
    return self->quit();
  auto next = [=](const caf::expected<std::string>& got) {
    all->check(caller, number, got);
    call_next(self, from, caller, number + 1, all);
  };
  fly::rpc_region(self, bound(*from), "syd", function_of(number), caller, number,
                  text_of(caller, number))
      .then([next](std::string& text) { next(text); }, [next](caf::error& why) { next(why); });
}

std::size_t open_descriptors() {
  namespace fs = std::filesystem;
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator{"/proc/self/fd"}, fs::directory_iterator{}));
}

bool run(std::uint64_t calls) {
  fly::test::shop_node syd{"syd"};
  fly::test::shop_node other{"syd", {syd.address()}};
  fly::test::shop_node lax{"lax", {syd.address(), other.address()}};
  serve(syd);
  serve(other);
  if (syd.node.join() || other.node.join() || lax.node.join() ||
      !fly::test::sees_endpoints(lax, 3)) {
    std::cerr << "the members do not see one another\n";
    return false;
  }
  tally all{calls};
  {
    caf::scoped_actor here{lax.node.system()};
    std::vector<caf::actor> acting;
    for (std::uint32_t i = 0; i < actors; ++i)
      acting.push_back(lax.node.system().spawn([&lax, &all, i](caf::event_based_actor* self) {
        call_next(self, &lax, 1000 + i, 0, &all);
      }));
    std::vector<std::thread> calling;
    for (std::uint32_t i = 0; i < threads; ++i)
      calling.emplace_back([&lax, &all, i] { call_from_thread(lax, i, all); });
    for (auto& each : calling)
      each.join();
    here->wait_for(acting);
  }
  auto left = lax.rpc->counts().in_flight + lax.rpc->counts().waiting;
  bool idle = fly::test::eventually(
      [&] { return syd.rpc->counts().serving + other.rpc->counts().serving == 0; });
  if (left != 0 || !idle)
    std::cerr << "calls are still under way: " << left << '\n';
  return all.print() && left == 0 && idle;
}

} // namespace

int main(int argc, char** argv) {
  std::uint64_t calls = 1'000'000;
  po::options_description flags{"fly_many_calls: every answer to its own caller"};
  flags.add_options()("calls", po::value(&calls), "how many (1,000,000)");
  return fly::test::run_program("fly_many_calls", argc, argv, flags, [&](const auto&) {
    auto before = open_descriptors();
    bool holds = run(calls);
    auto after = open_descriptors();
    if (after > before)
      std::cerr << after - before << " descriptors are left open\n";
    return holds && after <= before ? 0 : 1;
  });
}
