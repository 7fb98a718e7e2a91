#include "apps/admin/server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

#include <httplib.h>

#include <nlohmann/json.hpp>

#include <prometheus/text_serializer.h>

#include <pqxx/pqxx>

#include "apps/admin/call_metrics.hpp"
#include "apps/admin/state_metrics.hpp"
#include "apps/common/hasty_server.hpp"
#include "apps/common/json.hpp"
#include "apps/common/stop_listening.hpp"
#include "fly/actors/error.hpp"
#include "fly/cluster/address.hpp"
#include "fly/rpc/members.hpp"

namespace fly::admin {

namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::uint16_t default_port = 9100;
/// One for each connection: who says nothing, or half a request, or a byte a second, keeps one for
/// `request_max`. An orchestrator that asks /healthz meanwhile must not take this
/// node for dead.
constexpr std::size_t threads = 16;
constexpr auto request_max = 1s;
constexpr std::array<const char*, 4> pages{"/metrics", "/healthz", "/readyz", "/status"};
constexpr std::size_t body_bytes_max = 1024;
constexpr const char* prometheus_text = "text/plain; version=0.0.4; charset=utf-8";

void answer(httplib::Response& response, const json& body, int status = 200) {
  response.status = status;
  // Reasons come from databases and members: replace what is not UTF-8 instead of failing.
  response.set_content(body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n",
                       "application/json");
}

constexpr const char* there_are = "; there are /metrics, /healthz, /readyz and /status";

/// Refuses what is no reading of a page before httplib waits for its body.
httplib::Server::HandlerResponse refuse_writes(const httplib::Request& request,
                                               httplib::Response& response) {
  using result = httplib::Server::HandlerResponse;
  if (request.method == "GET" || request.method == "HEAD")
    return result::Unhandled;
  auto asked = request.method + " " + request.path;
  if (std::find(pages.begin(), pages.end(), request.path) == pages.end()) {
    answer(response, {{"error", "no such page: " + asked + there_are}}, 404);
  } else {
    response.set_header("Allow", "GET, HEAD");
    answer(response, {{"error", asked + ": a page is only read, by GET or HEAD"}}, 405);
  }
  return result::Handled;
}

/// Gives an error that httplib found a body.
void explain(const httplib::Request& request, httplib::Response& response) {
  if (!response.body.empty())
    return;
  auto why = response.status == 404
                 ? "no such page: " + request.method + " " + request.path + there_are
                 : std::string{"no request of HTTP, or not all of it in time"};
  answer(response, {{"error", why}}, response.status);
}

/// Two servers on one port would share its requests: httplib's default lets them.
void only_one_listens(socket_t socket) {
  int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

/// Returns where to listen, or why not there.
caf::expected<cluster::socket_address> checked(const std::string& listen) {
  auto where = cluster::parse_socket_address(listen, default_port);
  if (!where)
    return make_error(errc::invalid_argument, "admin address: " + text_of(where.error()));
  auto reach = cluster::reach_of(where->host);
  if (reach != cluster::reach::loopback && reach != cluster::reach::sixpn)
    return make_error(errc::invalid_argument,
                      "admin address: cannot listen on " + to_string(*where) +
                          ": nobody is asked for a secret there, so it must be loopback "
                          "(127.0.0.0/8, [::1]) or 6PN ([fdaa::]/16)");
  return where;
}

} // namespace

class server::impl {
public:
  impl(const cluster::node& node, rpc::endpoint& rpc, const repo::database* db,
       server_options options)
      : node_(node), rpc_(rpc), db_(db), options_(std::move(options)),
        calls_(std::make_shared<call_metrics>(rpc)) {
    options_.ready_timeout =
        std::clamp<std::chrono::milliseconds>(options_.ready_timeout, 10ms, 10s);
    server_.new_task_queue = [] { return new httplib::ThreadPool(threads); };
    server_.set_socket_options(only_one_listens);
    server_.set_payload_max_length(body_bytes_max);
    get(pages[0], &impl::metrics);
    get(pages[1], &impl::health);
    get(pages[2], &impl::ready);
    get(pages[3], &impl::status);
    server_.set_pre_routing_handler(refuse_writes);
    server_.set_error_handler(explain);
  }

  caf::error start() {
    if (thread_.joinable())
      return make_error(errc::invalid_argument, "the admin port listens already on " + address_);
    auto where = checked(options_.listen);
    if (!where)
      return where.error();
    errno = 0;
    if (where->port == 0) {
      auto port = server_.bind_to_any_port(where->host.c_str());
      where->port = static_cast<std::uint16_t>(std::max(port, 0));
    } else if (!server_.bind_to_port(where->host.c_str(), where->port)) {
      where->port = 0;
    }
    if (where->port == 0)
      return make_error(errc::cannot_listen, "the admin port cannot listen on " + options_.listen +
                                                 ": " + std::generic_category().message(errno));
    server_.widen_backlog();
    address_ = to_string(*where);
    rpc_.observe([calls = calls_](const rpc::call_report& ended) { calls->record(ended); });
    thread_ = std::thread{[this] { server_.listen_after_bind(); }};
    return {};
  }

  void stop() {
    if (!thread_.joinable())
      return;
    rpc_.observe({});
    apps::stop_listening(server_, thread_);
  }

  const std::string& address() const noexcept { return address_; }

private:
  void get(const char* path, void (impl::*handler)(httplib::Response&)) {
    server_.Get(path, [this, handler](const auto&, auto& response) { (this->*handler)(response); });
  }

  void metrics(httplib::Response& response) {
    auto all = calls_->collect();
    auto state = state_metrics(rpc_, db_, options_.tree);
    all.insert(all.end(), state.begin(), state.end());
    response.set_content(prometheus::TextSerializer{}.Serialize(all), prometheus_text);
  }

  void health(httplib::Response& response) { answer(response, {{"healthy", true}}); }

  void ready(httplib::Response& response) {
    auto reason = why_not_ready();
    json body{{"ready", reason.empty()}};
    if (!reason.empty())
      body["reason"] = reason;
    answer(response, body, reason.empty() ? 200 : 503);
  }

  void status(httplib::Response& response) {
    auto rows = json::array();
    for (const auto& each : rpc::report(node_.views()))
      rows.push_back(apps::member_json(each));
    answer(response, {{"seen_by", node_.self().id},
                      {"members", rows},
                      {"leader", apps::leader_json(rpc::report(node_.primary()))}});
  }

  std::string why_not_ready() const {
    if (node_.primary_group().empty())
      return "no primary is known";
    if (db_ == nullptr)
      return {};
    auto asked =
        db_->with({.timeout = options_.ready_timeout}).read([](pqxx::transaction_base& tx) {
          tx.exec("SELECT 1");
        });
    return asked ? std::string{} : "the local database: " + fly::to_string(asked.error());
  }

  const cluster::node& node_;
  rpc::endpoint& rpc_;
  const repo::database* db_;
  server_options options_;
  const std::shared_ptr<call_metrics> calls_; // shared with calls that are under way
  apps::hasty_server server_{request_max};
  std::string address_;
  std::thread thread_;
};

server::server(const cluster::node& node, rpc::endpoint& rpc, const repo::database& db,
               server_options options)
    : impl_(std::make_unique<impl>(node, rpc, &db, std::move(options))) {}

server::server(const cluster::node& node, rpc::endpoint& rpc, server_options options)
    : impl_(std::make_unique<impl>(node, rpc, nullptr, std::move(options))) {}

server::~server() {
  stop();
}

caf::error server::start() {
  return impl_->start();
}

void server::stop() {
  impl_->stop();
}

std::string server::address() const {
  return impl_->address();
}

} // namespace fly::admin
