// calls.cpp - what can be said of a call, and what a function learns of it
#include <atomic>
#include <chrono>
#include <iostream>
#include <string>
#include <thread>

#include <fly/fly.hpp>

using namespace std::literals;

inline constexpr fly::rpc::function<int(int)> count_to{"calls.count_to"};
inline constexpr fly::rpc::function<std::string()> region{"calls.region"};
inline constexpr fly::rpc::function<void(std::string)> note{"calls.note"};

int main() {
  auto options = fly::cluster::options{};
  options.region = "ams";
  options.port = 0;
  options.log = [](fly::cluster::log_level, std::string_view) {};
  fly::cluster::node node{options};

  // Around every function that is served here: it may also answer in its place.
  fly::rpc::server_interceptor log = [](const fly::rpc::incoming_call& call, const auto& next) {
    auto outcome = next();
    std::cout << std::string{call.name} + (outcome ? " worked\n" : " failed\n");
    return outcome;
  };
  fly::rpc::endpoint rpc{node, {.on_serve = {log}}};

  // At most two at a time, eight may wait; only for callers in ams. Ends when nobody waits any
  // more.
  rpc.serve(count_to, {.running_max = 2, .queue_max = 8, .allow = {{.region = "ams"}}},
            [](const fly::rpc::call_context& context, int last) {
              int reached = 0;
              while (reached < last && !context.cancelled()) {
                std::this_thread::sleep_for(1ms);
                ++reached;
              }
              return reached;
            });
  rpc.serve(region, [&node] { return node.my_region(); });
  std::atomic<int> notes{0};
  rpc.serve(note, [&notes](std::string) { ++notes; });
  if (auto reason = node.join()) {
    std::cerr << fly::to_string(reason) << '\n';
    return 1;
  }

  if (auto reached = fly::rpc_region(rpc, "ams", count_to, 3))
    std::cout << "counted to " << *reached << '\n';

  // Gives up after 50 ms: the function is told, and stops counting.
  auto late = fly::rpc_region(rpc.with({.timeout = 50ms}), "ams", count_to, 1'000'000);
  std::cout << (late ? "in time\n" : to_string(fly::code_of(late.error())) + '\n');

  // May run twice: a member that is lost or silent is left for another one, while time is left.
  auto safe = rpc.with({.timeout = 2s, .idempotent = true, .attempt_max = 300ms});
  if (auto where = fly::rpc_region(safe, "ams", region))
    std::cout << "it ran in " << *where << '\n';

  // Every member, each with its own result.
  if (auto all = fly::rpc_each(rpc, region))
    for (const auto& each : *all)
      std::cout << each.who.region << " says "
                << (each.outcome ? *each.outcome : fly::to_string(each.outcome.error())) << '\n';

  // No answer.
  if (auto refused = fly::rpc_cast(rpc, fly::rpc::target::region("ams"), note, "seen"))
    std::cerr << fly::to_string(refused) << '\n';
  while (notes == 0)
    std::this_thread::sleep_for(1ms);
}
