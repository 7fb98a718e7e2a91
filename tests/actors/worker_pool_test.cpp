// Proves that work runs, that a full queue is refused at once, and that stopping runs what was
// taken.
#include "fly/actors/worker_pool.hpp"

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <system_error>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "fly/actors/blocking_guard.hpp"
#include "fly/actors/error.hpp"
#include "tests/support/eventually.hpp"

using fly::errc;
using fly::actors::worker_pool;

TEST_CASE("every task that was taken runs once, from many threads") {
  std::atomic<int> done = 0;
  {
    worker_pool pool{{.threads = 4, .queue_max = 10'000}};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i)
          CHECK_FALSE(pool.submit([&] { ++done; }));
      });
    for (auto& it : threads)
      it.join();
  }

  CHECK(done == 4000);
}

TEST_CASE("a full queue is refused at once and loses nothing") {
  std::promise<void> gate;
  auto opened = gate.get_future().share();
  std::atomic<int> begun = 0;
  std::atomic<int> done = 0;
  worker_pool pool{{.threads = 1, .queue_max = 2}};
  auto wait = [&] {
    ++begun;
    opened.wait();
    ++done;
  };
  CHECK_FALSE(pool.submit(wait));
  // Until the thread has taken it the first task is in the queue, too.
  REQUIRE(fly::test::eventually([&] { return begun == 1; }));
  CHECK_FALSE(pool.submit(wait));
  CHECK_FALSE(pool.submit(wait));

  auto refused = pool.submit(wait);

  gate.set_value();
  REQUIRE(refused);
  CHECK(refused == errc::overloaded);
  CHECK(fly::effect_of(refused) == fly::effect::nothing_ran);
  pool.stop();
  CHECK(done == 3);
}

TEST_CASE("what is withdrawn does not run, and frees its place") {
  std::promise<void> gate;
  std::atomic<bool> begun = false;
  std::string ran;
  int first = 0;
  int second = 0;
  worker_pool pool{{.threads = 1, .queue_max = 2}};
  CHECK_FALSE(pool.submit(
      [&] {
        begun = true;
        gate.get_future().wait();
      },
      &pool));
  REQUIRE(fly::test::eventually([&] { return begun.load(); }));
  auto held = std::make_shared<int>(0);
  CHECK_FALSE(pool.submit([&, held] { ran += 'a'; }, &first));
  CHECK_FALSE(pool.submit([&] { ran += 'b'; }, &second));

  CHECK(pool.withdraw(&first));
  CHECK_FALSE(pool.withdraw(&first));
  CHECK_FALSE(pool.withdraw(&pool)); // it runs

  CHECK(held.use_count() == 1);
  CHECK(pool.load() == 2);
  CHECK_FALSE(pool.submit([&] { ran += 'c'; }));
  gate.set_value();
  pool.stop();
  CHECK(ran == "bc");
}

namespace {

/// Submits `work` in the thread of a task, which waits for it. Returns whether it was taken.
bool await(worker_pool& pool, std::function<void()> work) {
  std::promise<void> done;
  auto refused = [&] {
    fly::actors::about_to_block scope;
    return pool.submit([&] {
      work();
      done.set_value();
    });
  }();
  if (refused)
    CHECK(refused == errc::overloaded);
  else
    done.get_future().wait();
  return !refused;
}

} // namespace

TEST_CASE("tasks that wait for tasks make progress, as many as there are spare threads") {
  std::atomic<std::size_t> depth = 0;
  worker_pool pool{{.threads = 1, .queue_max = 100}};
  std::function<void()> descend = [&] {
    ++depth;
    if (await(pool, descend))
      return;
    --depth;
  };
  std::promise<void> done;
  CHECK_FALSE(pool.submit([&] {
    descend();
    done.set_value();
  }));

  done.get_future().wait();

  CHECK(depth == worker_pool::spares_each); // and the thread that was refused
}

TEST_CASE("what tasks wait for comes before what nobody waits for") {
  constexpr int tasks = 100;
  std::atomic<int> done = 0;
  worker_pool pool{{.threads = 2, .queue_max = tasks}};

  for (int i = 0; i < tasks; ++i)
    CHECK_FALSE(pool.submit([&] { done += await(pool, [] {}) ? 1 : 0; }));

  CHECK(fly::test::eventually([&] { return done == tasks; }));
}

TEST_CASE("a stopped pool refuses work") {
  worker_pool pool{{.threads = 2, .queue_max = 2}};

  pool.stop();
  pool.stop();

  CHECK(pool.submit([] {}) == errc::shutting_down);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they take all addresses
TEST_CASE("a pool that cannot have its threads throws, and those that it had have ended") {
  auto child = ::fork();
  if (child == 0) {
    rlimit few_stacks{256 * 1024 * 1024, RLIM_INFINITY};
    ::setrlimit(RLIMIT_AS, &few_stacks);
    try {
      worker_pool pool{{.threads = 1024}};
    } catch (const std::system_error&) {
      ::_exit(0);
    }
    ::_exit(1);
  }

  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
#endif
