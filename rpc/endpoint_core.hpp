#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include <caf/actor_addr.hpp>
#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include "fly/actors/worker_pool.hpp"
#include "fly/cluster/listener.hpp"
#include "fly/cluster/warning_limit.hpp"
#include "fly/rpc/actor_exports.hpp"
#include "fly/rpc/actor_imports.hpp"
#include "fly/rpc/client.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/routes.hpp"
#include "fly/rpc/server.hpp"

namespace fly::rpc {

/// All that an endpoint is, but for its actor: outlives whichever RPC actor drives it at the
/// moment, so that a killed one loses no call. Safe from any thread.
class endpoint_core final : public cluster::listener,
                            public std::enable_shared_from_this<endpoint_core> {
public:
  endpoint_core(cluster::node& node, endpoint_options options);

  /// Begins to hear of the cluster, and serves "fly.describe", "fly.members", "fly.leader",
  /// "fly.primary", "fly.clock", "fly.actor". Where the node has another endpoint it does neither,
  /// and everything is refused.
  void open();

  /// Returns why everything is refused; empty where it is not.
  const caf::error& refusal() const noexcept { return refusal_; }

  /// Ends all calls, waits for running functions, and hears nothing any more. Blocks; idempotent.
  void close();

  /// Serves a function and tells the members. Errors: see `registry::add`.
  caf::error serve(std::string name, served_function function);
  void unserve(std::string_view name);

  /// Takes an answer that the calling thread has read itself, see `client::on_answer`.
  void on_own_answer(const std::shared_ptr<cluster::channel>& from,
                     std::span<const std::byte> payload, const result_sink& sink);

  // -- cluster::listener
  void on_frame(const std::shared_ptr<cluster::channel>& from, cluster::frame_kind kind,
                std::span<const std::byte> payload) override;
  void on_link_down(const std::shared_ptr<cluster::channel>& which,
                    const caf::error& reason) override;
  void on_change() override;
  void on_leaving(std::chrono::steady_clock::time_point until) override;
  void on_left() override { client_->close(); } // nobody can be asked any more

  // -- for the RPC actor
  /// Makes `driver` the one that drives, instead of the one before; returns its number.
  std::uint64_t attach(const caf::actor_addr& driver);
  /// Says that the driver `turn` has ended.
  void detach(std::uint64_t turn);
  /// Returns the number of who drives now; 0 for nobody.
  std::uint64_t turn() const;
  /// Does what is due: expiry, waiting calls, late answers, the load. Nothing once closed. Returns
  /// when it wants that again: after a tick, or later while nothing is under way. What begins then
  /// sends the driver an ok_atom.
  std::chrono::milliseconds drive();

  /// As `client::start`.
  std::uint64_t start(call&& begun, answer_reader* own = nullptr);

  cluster::node& node() const noexcept { return node_; }
  const endpoint_options& options() const noexcept { return options_; }
  actors::worker_pool& workers() noexcept { return workers_; }
  rpc::client& caller() noexcept { return *client_; }
  observer_slot& observers() noexcept { return server_.observers(); }
  const rpc::server& server() const noexcept { return server_; }
  actor_exports& exports() noexcept { return *exports_; }
  actor_imports& imports() noexcept { return *imports_; }

private:
  template <class R, class... Args, class F>
  void serve_own(const function<R(Args...)>& f, F handler);
  void serve_places();
  void announce();
  std::chrono::steady_clock::time_point stop_offering();
  void refresh_routes();
  std::chrono::milliseconds time_to_be_heard() const;
  bool is_busy() const;
  std::chrono::milliseconds next_drive(std::chrono::steady_clock::time_point now);
  void stir();
  void log_malformed(const caf::error& reason, const cluster::channel& from);
  caf::actor driver() const;

  cluster::node& node_;
  caf::error refusal_; // set by `open` alone
  const endpoint_options options_;
  actors::worker_pool workers_;
  rpc::server server_;
  const std::shared_ptr<rpc::client> client_;
  const std::shared_ptr<actor_exports> exports_; // stubs find their way back to both
  const std::shared_ptr<actor_imports> imports_;

  std::mutex routes_mutex_; // held while routes are made: the latest ones win
  std::shared_ptr<const routes> routes_;
  std::map<std::string, std::string> announced_; // id to the text its routes' offer was read from

  std::mutex warned_mutex_;
  cluster::warning_limit warned_; // guarded by warned_mutex_

  std::mutex announce_mutex_; // held while announcing: the latest offer wins
  bool leaving_ = false;      // guarded by announce_mutex_; nothing is offered any more

  mutable std::mutex driver_mutex_;
  std::condition_variable idle_;
  caf::actor_addr driver_;      // guarded by driver_mutex_
  std::uint64_t turn_ = 0;      // guarded by driver_mutex_
  std::uint64_t last_turn_ = 0; // guarded by driver_mutex_
  std::size_t driving_ = 0;     // guarded by driver_mutex_; threads inside drive()
  bool closed_ = false;         // guarded by driver_mutex_
  std::atomic<std::uint32_t> load_{0};
  std::atomic<bool> rests_{false}; // the driver comes late; who begins something calls it
  std::atomic<std::chrono::steady_clock::time_point>
      rest_from_{}; // if nothing is under way by then
};

/// Returns the behavior of an RPC actor: drives `core` every tick and when the cluster changes. One
/// that is not `standby` takes over; a standby drives while nobody else does.
caf::behavior rpc_actor(caf::event_based_actor* self, std::shared_ptr<endpoint_core> core,
                        bool standby);

} // namespace fly::rpc
