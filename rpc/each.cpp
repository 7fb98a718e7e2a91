#include "fly/rpc/each.hpp"

#include <atomic>
#include <cstddef>
#include <memory>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/rpc/current_call.hpp"

namespace fly::rpc {

namespace {

using clock = std::chrono::steady_clock;
using results = std::vector<member_result<bytes>>;

/// Collects the answers; the last one completes the whole.
struct collection {
  results all; // each is written by its own answer
  std::atomic<std::size_t> missing;
  actors::completion<results> done;

  void answered(std::size_t place, caf::expected<bytes> outcome) {
    all[place].outcome = std::move(outcome);
    if (--missing == 0)
      done(std::move(all));
  }
};

std::vector<cluster::member> members_of(const bound_endpoint& rpc,
                                        std::optional<std::string_view> region) {
  auto result = rpc.rpc().node().members();
  std::erase_if(result, [&](const auto& who) { return region && who.region != *region; });
  return result;
}

/// The starter refers to what it was made from: it is run within the same expression.
actors::starter<results> starter_of(const bound_endpoint& rpc,
                                    std::optional<std::string_view> region, std::string_view name,
                                    const signature& wanted, const caf::expected<bytes>& arguments,
                                    clock::time_point deadline) {
  return [&rpc, region, name, &wanted, deadline,
          &arguments](actors::completion<results> done) -> actors::expire {
    auto wrong = rpc.check();
    if (wrong || !arguments) {
      done(wrong ? wrong : arguments.error());
      return [] {};
    }
    auto asked = members_of(rpc, region);
    if (asked.empty()) {
      auto where = region ? "region " + std::string{*region} : "the cluster";
      done(make_error(errc::no_node_in_region, "no member in " + where));
      return [] {};
    }
    auto whole = std::make_shared<collection>();
    whole->missing = asked.size();
    whole->done = std::move(done);
    for (const auto& who : asked)
      whole->all.push_back({who, make_error(errc::timeout)});
    std::vector<call_end> ends;
    for (std::size_t i = 0; i < asked.size(); ++i)
      ends.push_back(rpc.rpc().start(
          target::member(asked[i].id), name, wanted, *arguments, deadline,
          [whole, i](caf::expected<bytes> outcome) { whole->answered(i, std::move(outcome)); }, {},
          rpc.traits()));
    return [ends = std::move(ends)] {
      for (const auto& end : ends)
        end();
    };
  };
}

} // namespace

caf::expected<results> each_raw(const bound_endpoint& rpc, std::optional<std::string_view> region,
                                std::string_view name, const signature& wanted,
                                caf::expected<bytes> arguments) {
  auto deadline = rpc.deadline();
  return ask_cancellable<results>(deadline,
                                  starter_of(rpc, region, name, wanted, arguments, deadline));
}

actors::pending<results> each_raw(caf::scheduled_actor* self, const bound_endpoint& rpc,
                                  std::optional<std::string_view> region, std::string_view name,
                                  const signature& wanted, caf::expected<bytes> arguments) {
  auto deadline = rpc.deadline();
  return {self, deadline, starter_of(rpc, region, name, wanted, arguments, deadline)};
}

} // namespace fly::rpc
