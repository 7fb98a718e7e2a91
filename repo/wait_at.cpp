#include "fly/repo/wait_at.hpp"

#include <algorithm>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fly/actors/error.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database_core.hpp"
#include "fly/repo/primary_move.hpp"
#include "fly/repo/serving.hpp"
#include "fly/rpc/codec.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/type_text.hpp"

namespace fly::repo {

namespace {

using clock = std::chrono::steady_clock;

/// Waits at several members, of which the first failure or the last success counts. Safe from any
/// thread.
class waits : public std::enable_shared_from_this<waits> {
public:
  waits(std::size_t count, actors::completion<caf::unit_t> done)
      : left_(count), done_(std::move(done)) {}

  /// Takes how the wait at a member is ended; at once where all is over.
  void began(actors::expire end) {
    {
      std::lock_guard guard{mutex_};
      if (done_) {
        ends_.push_back(std::move(end));
        return;
      }
    }
    end();
  }

  void ended(const cluster::member& who, const caf::error& reason) {
    actors::completion<caf::unit_t> done;
    std::vector<actors::expire> ends;
    {
      std::lock_guard guard{mutex_};
      if (!done_)
        return;
      left_ -= reason ? left_ : 1;
      if (left_ > 0)
        return;
      done = std::exchange(done_, nullptr);
      ends.swap(ends_);
    }
    for (const auto& end : ends)
      end();
    if (!reason)
      return done(caf::unit);
    // What ran there is a wait: there is nothing that it may have changed.
    auto code = code_of(reason) == errc::timeout ? errc::not_visible : code_of(reason);
    done(make_error(code, "at " + who.id + " in " + who.region + ": " + text_of(reason),
                    details_of(reason)));
  }

  bool over() {
    std::lock_guard guard{mutex_};
    return !done_;
  }

  void expire() {
    std::vector<actors::expire> ends;
    {
      std::lock_guard guard{mutex_};
      ends = ends_;
    }
    for (const auto& end : ends)
      end();
  }

private:
  std::mutex mutex_;
  std::size_t left_;                     // guarded by mutex_
  actors::completion<caf::unit_t> done_; // guarded by mutex_; null once it was called
  std::vector<actors::expire> ends_;     // guarded by mutex_
};

std::vector<cluster::member_view> members_at(const cluster::node& node, const place& at,
                                             std::string& regions) {
  auto all = node.views();
  std::set<std::string> names;
  for (const auto& it : all)
    names.insert(it.who.region);
  for (const auto& it : names)
    regions += (regions.empty() ? "" : ", ") + it;
  std::erase_if(all, [&](const cluster::member_view& it) {
    return it.database.role == cluster::claim::role::none ||
           (!at.region.empty() && it.who.region != at.region);
  });
  return all;
}

} // namespace

actors::expire wait_at(const rpc::endpoint& rpc, const std::shared_ptr<database_core>& core,
                       const place& at, const position& where, clock::time_point deadline,
                       actors::completion<caf::unit_t> done) {
  std::string regions;
  auto members = members_at(rpc.node(), at, regions);
  if (members.empty()) {
    done(make_error(errc::no_node_in_region,
                    "nobody with a database in " + at.region + "; there are: " + regions));
    return [] {};
  }
  auto all = std::make_shared<waits>(members.size(), std::move(done));
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
  auto arguments = rpc::encode(to_string(where), std::max<std::int64_t>(left, 0));
  for (const auto& it : members) {
    if (all->over()) // and `rpc` perhaps as well
      break;
    auto who = it.who;
    if (it.state == cluster::presence::self)
      all->began(core->tracker()->wait_for(
          where, deadline, [all, who](const caf::expected<caf::unit_t>& outcome) {
            all->ended(who, outcome ? caf::error{} : outcome.error());
          }));
    else
      all->began(rpc.start(rpc::target::member(who.id), builtin_name(reach.name, core->name()),
                           rpc::signature_of<bool(std::string, std::int64_t)>(), *arguments,
                           deadline, [all, who](const caf::expected<rpc::bytes>& answer) {
                             all->ended(who, answer ? caf::error{} : answer.error());
                           }));
  }
  return [all] { all->expire(); };
}

} // namespace fly::repo
