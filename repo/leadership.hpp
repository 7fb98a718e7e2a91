#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include <caf/expected.hpp>

#include "fly/cluster/claim.hpp"
#include "fly/cluster/listener.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/lease.hpp"
#include "fly/repo/lease_term.hpp"
#include "fly/repo/pq_link.hpp"

namespace fly::repo {

/// How a node comes to lead.
struct leadership_options {
  link_options link{};
  std::chrono::milliseconds connect_timeout{3000};
  std::chrono::milliseconds lasts{3000};
};

/// Takes the lease of the leader for this node, renews it and hands it over. Asks only while the
/// node is in the primary group and nobody contests that; on a connection of its own, opened again
/// after errors. Safe from any thread; what blocks says so.
class leadership final : public cluster::listener {
public:
  using clock = std::chrono::steady_clock;

  /// `tell` is called when `fill` has news, by the thread of `look` or `leave`. The node outlives
  /// `leave`, and nothing of it is touched after that.
  leadership(cluster::node& node, leadership_options options, std::function<void()> tell);

  /// Returns the turn that this node holds now, by its own clock: a database that is frozen delays
  /// nothing. Errors: errc::not_leader, naming who leads; nothing ran. It has rpc's detail that
  /// another member can be asked, but where there is no lease at all.
  caf::expected<cluster::epoch> turn() const;

  /// Adds what is known of the lease to the claim of a primary.
  void fill(cluster::claim& claim) const;

  /// Steps down from `turn`: the database has said that it is over.
  void deposed(const cluster::epoch& turn);

  /// Does what is due. Blocks while it opens the connection or waits for an answer: for the connect
  /// timeout and a third of the lease at most.
  void look();

  /// Steps down, and ends the lease so that another takes it at once; none is taken any more.
  /// Blocks, for a second at most beside a `look` under way. Idempotent.
  void leave();

  /// Steps down until then, and writes nothing into the database meanwhile. Blocks as `leave` does.
  void rest(clock::time_point until);

  // -- as a listener
  void on_frame(const std::shared_ptr<cluster::channel>&, cluster::frame_kind,
                std::span<const std::byte>) override {}
  void on_link_down(const std::shared_ptr<cluster::channel>&, const caf::error&) override {}
  void on_change() override {}
  void on_leader() override { hurry_ = true; }
  void on_leaving(clock::time_point) override { leave(); }

private:
  /// What is known of the lease.
  struct knowledge {
    cluster::epoch latest{};
    bool leads = false;
    std::string missing{}; // why there is no lease; empty where there is one

    friend bool operator==(const knowledge&, const knowledge&) = default;
  };

  bool may_lead() const;
  void ask_database();
  caf::expected<lease_answer> ask(clock::time_point& sent);
  clock::time_point open_by(clock::time_point now) const;
  clock::time_point answer_by(clock::time_point sent) const;
  knowledge known() const; // with mutex_ held
  void tell_news();
  void step_down();

  cluster::node& node_;
  const leadership_options options_;
  const std::function<void()> tell_;
  const cluster::member me_;
  std::atomic<bool> hurry_ = false;

  std::mutex driving_;              // before mutex_
  std::optional<pq_link> link_;     // guarded by driving_
  bool left_ = false;               // guarded by driving_
  clock::time_point rests_until_{}; // guarded by driving_
  knowledge told_;                  // guarded by driving_

  mutable std::mutex mutex_;
  lease_term term_;       // guarded by mutex_
  cluster::epoch latest_; // guarded by mutex_
  std::string missing_;   // guarded by mutex_
};

} // namespace fly::repo
