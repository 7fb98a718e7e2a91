#include "fly/rpc/endpoint_core.hpp"

#include <algorithm>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/atom.hpp>
#include <caf/send.hpp>

#include "fly/actors/error.hpp"
#include "fly/cluster/channel.hpp"
#include "fly/cluster/node.hpp"
#include "fly/rpc/handler.hpp"
#include "fly/rpc/interceptor.hpp"
#include "fly/rpc/members.hpp"
#include "fly/rpc/message.hpp"
#include "fly/rpc/remote_actor.hpp"
#include "fly/rpc/tools.hpp"

namespace fly::rpc {

namespace {

endpoint_options within_bounds(endpoint_options options) {
  using namespace std::chrono_literals;
  options.workers = std::clamp<std::size_t>(options.workers, 1, 1024);
  options.tick = std::clamp<std::chrono::milliseconds>(options.tick, 1ms, 1s);
  return options;
}

actors::worker_pool_options pool_of(const endpoint_options& options) {
  return {.threads = options.workers, .queue_max = options.queue_max, .name = "fly.rpc"};
}

system_source system_of(const cluster::node& node) {
  return [&node]() -> caf::actor_system& { return node.system(); };
}

} // namespace

endpoint_core::endpoint_core(cluster::node& node, endpoint_options options)
    : node_(node), options_(within_bounds(options)), workers_(pool_of(options_)),
      server_(workers_, [&node] { return node.is_primary(); }),
      client_(std::make_shared<rpc::client>(options.calls_max, server_)),
      exports_(std::make_shared<actor_exports>(system_of(node), node.settings().log)),
      imports_(std::make_shared<actor_imports>(system_of(node), node.settings().log)),
      routes_(std::make_shared<const routes>()) {}

/// Serves one of fly's own functions, which never block.
template <class R, class... Args, class F>
void endpoint_core::serve_own(const function<R(Args...)>& f, F handler) {
  server_.add(std::string{f.name},
              {signature_of<R(Args...)>(),
               {.on_io_thread = true},
               make_raw_handler<R, Args...>(std::move(handler), errors_of::fly)});
}

/// Tells where published actors are.
void endpoint_core::serve_places() {
  serve_own(find_actor,
            [&node = node_, all = exports_](const call_context& asker,
                                            std::string name) -> caf::expected<actor_place> {
              auto number = all->find(name, asker);
              if (!number)
                return number.error();
              auto self = node.self();
              return actor_place{self.id, self.incarnation, *number};
            });
}

void endpoint_core::open() {
  // Both would answer each call that comes, and take each other's answers.
  if (!node_.occupy(this)) {
    refusal_ = make_error(errc::invalid_argument,
                          node_.self().id + " has another endpoint: a node has one at a time");
    return;
  }
  auto signatures = [weak = weak_from_this()]() -> std::map<std::string, std::string> {
    auto self = weak.lock();
    return self ? self->server_.signatures() : std::map<std::string, std::string>{};
  };
  serve_own(describe, std::move(signatures));
  serve_own(clock_us, [] {
    auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::int64_t{std::chrono::duration_cast<std::chrono::microseconds>(now).count()};
  });
  serve_own(members, [&node = node_] { return report(node.views()); }); // cleared before it ends
  serve_own(leader, [&node = node_] { return report(node.primary()); });
  serve_own(primary, [&node = node_] { return report_primary(node.primary()); });
  serve_places();
  node_.listen(shared_from_this()); // first: who hears the announcement calls at once
  announce();
}

void endpoint_core::close() {
  {
    std::unique_lock lock{driver_mutex_};
    if (std::exchange(closed_, true))
      return;
    idle_.wait(lock, [this] { return driving_ == 0; });
  }
  if (refusal_)
    return;
  auto heard = stop_offering();
  // A running function may wait for a call of its own: those end first.
  client_->close();
  imports_->close();
  exports_->close();
  workers_.stop();
  server_.end_later();
  // Calls that were on their way are told that nothing ran, so that they go elsewhere.
  std::this_thread::sleep_until(heard);
  server_.flush(std::chrono::steady_clock::now());
  exports_->flush();
  node_.unlisten(this);
  node_.vacate(this);
  server_.clear();
}

/// Refuses calls from now on and says so to the members. Returns when they have heard.
std::chrono::steady_clock::time_point endpoint_core::stop_offering() {
  server_.close();
  std::lock_guard guard{announce_mutex_};
  leaving_ = true;
  node_.announce_services({});
  return std::chrono::steady_clock::now() + time_to_be_heard();
}

void endpoint_core::on_leaving(std::chrono::steady_clock::time_point until) {
  using namespace std::chrono_literals;
  auto heard = stop_offering();
  for (;;) {
    auto now = std::chrono::steady_clock::now();
    server_.flush(now);
    bool at_rest =
        now >= heard && server_.serving() == 0 && server_.later() == 0 && server_.late_bytes() == 0;
    if (at_rest || now >= until)
      return;
    std::this_thread::sleep_for(5ms);
  }
}

/// Returns how long it takes until no linked member sends calls here any more: there and back.
std::chrono::milliseconds endpoint_core::time_to_be_heard() const {
  using namespace std::chrono_literals;
  std::chrono::milliseconds result{0};
  for (const auto& view : node_.views())
    if (view.linked) {
      auto there_and_back = std::chrono::ceil<std::chrono::milliseconds>(view.round_trip);
      result = std::max(result, std::min<std::chrono::milliseconds>(50ms + 2 * there_and_back, 1s));
    }
  return result;
}

caf::error endpoint_core::serve(std::string name, served_function function) {
  if (refusal_)
    return refusal_;
  if (function.handler && !function.options.allow.empty())
    function.handler = allowed(function.options.allow, std::move(function.handler));
  if (function.handler && !options_.on_serve.empty())
    function.handler = intercepted(name, options_.on_serve, std::move(function.handler));
  if (auto reason = server_.add(std::move(name), std::move(function)))
    return reason;
  announce();
  return {};
}

void endpoint_core::unserve(std::string_view name) {
  if (server_.remove(name))
    announce();
}

void endpoint_core::announce() {
  std::lock_guard guard{announce_mutex_};
  if (leaving_)
    return;
  node_.announce_services(announcement_of(server_.offer()));
  refresh_routes();
}

void endpoint_core::on_frame(const std::shared_ptr<cluster::channel>& from,
                             cluster::frame_kind kind, std::span<const std::byte> payload) {
  caf::error reason;
  if (kind == call_frame)
    reason = server_.on_call(from, payload);
  else if (kind == answer_frame)
    reason = client_->on_answer(from, payload);
  else if (kind == cancel_frame)
    reason = server_.on_cancel(from, payload);
  else if (kind == attach_frame)
    reason = exports_->on_attach(from, payload);
  else if (kind == letter_frame)
    reason = exports_->on_letter(from, payload);
  else if (kind == reply_frame)
    reason = imports_->on_reply(from, payload);
  else if (kind == ended_frame)
    reason = imports_->on_ended(from, payload);
  if (reason) // other kinds belong to later versions, or to floors above
    log_malformed(reason, *from);
  stir();
}

void endpoint_core::on_own_answer(const std::shared_ptr<cluster::channel>& from,
                                  std::span<const std::byte> payload, const result_sink& sink) {
  static const result_sink none;
  bool is_seen = !options_.on_call.empty(); // an interceptor may look at the result
  if (auto reason = client_->on_answer(from, payload, is_seen ? none : sink))
    log_malformed(reason, *from);
  stir();
}

void endpoint_core::log_malformed(const caf::error& reason, const cluster::channel& from) {
  auto text = text_of(reason) + " from " + from.peer().id;
  bool is_said = [&] {
    std::lock_guard guard{warned_mutex_};
    return warned_.take(text, std::chrono::steady_clock::now());
  }();
  node_.settings().log(is_said ? cluster::log_level::warning : cluster::log_level::debug, text);
}

std::uint64_t endpoint_core::start(call&& begun, answer_reader* own) {
  if (refusal_) {
    begun.reply(refusal_);
    return 0;
  }
  auto id = client_->start(std::move(begun), own);
  stir();
  return id;
}

void endpoint_core::on_link_down(const std::shared_ptr<cluster::channel>& which,
                                 const caf::error& reason) {
  server_.on_link_down(which);
  client_->on_link_down(which, reason);
  exports_->on_link_down(which);
  imports_->on_link_down(which, reason);
}

void endpoint_core::on_change() {
  refresh_routes();
  if (auto who = driver())
    caf::anon_send(who, caf::ok_atom::value);
  else
    drive();
}

void endpoint_core::refresh_routes() {
  std::lock_guard guard{routes_mutex_};
  std::map<std::string, const route*> before;
  for (const auto& each : routes_->all())
    before.emplace(each.who.id, &each);
  std::set<std::string> primaries;
  for (const auto& each : node_.primary_group())
    primaries.insert(each.id);
  std::vector<route> now;
  std::map<std::string, std::string> announced;
  for (auto& view : node_.views()) {
    auto old = before.find(view.who.id);
    route each;
    each.self = view.state == cluster::presence::self;
    each.suspect = view.state == cluster::presence::suspect;
    each.primary = primaries.contains(view.who.id);
    each.link = each.self ? nullptr : node_.channel_to(view.who.id);
    // One that has started anew has nothing to do with how its predecessor fared.
    bool is_same = old != before.end() && old->second->who.incarnation == view.who.incarnation;
    each.load = is_same ? old->second->load : std::make_shared<member_load>();
    auto text = each.self ? announcement_of(server_.offer()) : std::move(view.services);
    if (old != before.end() && announced_[view.who.id] == text)
      each.offered = old->second->offered;
    else if (auto offered = parse_announcement(text))
      each.offered = std::make_shared<const offer>(std::move(*offered));
    announced[view.who.id] = std::move(text);
    each.who = std::move(view.who);
    now.push_back(std::move(each));
  }
  announced_ = std::move(announced);
  routes_ = std::make_shared<const routes>(std::move(now));
  client_->reroute(routes_);
}

} // namespace fly::rpc
