#include "apps/admin/state_metrics.hpp"

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "fly/actors/supervisor.hpp"
#include "fly/cluster/channel.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database.hpp"
#include "fly/rpc/endpoint.hpp"

namespace fly::admin {

namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily family(std::string name, std::string help, MetricType type = MetricType::Gauge) {
  return {.name = std::move(name), .help = std::move(help), .type = type, .metric = {}};
}

/// Adds one value, with a label where `label` is not empty.
void add(MetricFamily& to, double value, std::string label = {}, std::string text = {}) {
  prometheus::ClientMetric one;
  if (!label.empty())
    one.label.push_back({std::move(label), std::move(text)});
  if (to.type == MetricType::Counter)
    one.counter.value = value;
  else
    one.gauge.value = value;
  to.metric.push_back(std::move(one));
}

MetricFamily single(std::string name, std::string help, double value) {
  auto result = family(std::move(name), std::move(help));
  add(result, value);
  return result;
}

double number(std::size_t count) {
  return static_cast<double>(count);
}

void add_cluster(std::vector<MetricFamily>& all, const cluster::node& node) {
  using cluster::presence;
  std::map<presence, std::size_t> states{
      {presence::self, 0}, {presence::alive, 0}, {presence::suspect, 0}};
  std::size_t links = 0;
  std::size_t unsent_bytes = 0;
  for (const auto& view : node.views()) {
    ++states[view.state];
    if (auto link = node.channel_to(view.who.id)) {
      ++links;
      unsent_bytes += link->unsent_bytes();
    }
  }
  auto members = family("fly_members", "Members of the cluster as this node sees them");
  for (const auto& [state, count] : states)
    add(members, number(count), "state", std::string{to_string(state)});
  all.push_back(std::move(members));
  all.push_back(single("fly_links", "Members that a connection is up to", number(links)));
  all.push_back(single("fly_unsent_bytes", "Bytes that wait for the sockets of all links",
                       number(unsent_bytes)));
  all.push_back(single("fly_primaries", "Members of the primary group; 0: no primary is known",
                       number(node.primary_group().size())));
  all.push_back(single("fly_is_primary", "1 where this node is in the primary group",
                       node.is_primary() ? 1 : 0));
  if (auto end = node.certificate_end())
    all.push_back(single("fly_certificate_not_after_seconds",
                         "When the node's certificate, or its authority's, ends; since 1970",
                         std::chrono::duration<double>(end->time_since_epoch()).count()));
  auto leader = node.leader();
  all.push_back(single("fly_is_leader", "1 where this node leads",
                       leader && leader->id == node.self().id ? 1 : 0));
}

void add_calls(std::vector<MetricFamily>& all, const rpc::endpoint& rpc) {
  auto counts = rpc.counts();
  auto calls = family("fly_calls_under_way",
                      "Calls made here that were sent (in_flight) or wait for a member (waiting), "
                      "and calls that run or wait for a thread here (serving)");
  add(calls, number(counts.in_flight), "state", "in_flight");
  add(calls, number(counts.waiting), "state", "waiting");
  add(calls, number(counts.serving), "state", "serving");
  all.push_back(std::move(calls));
}

void add_database(std::vector<MetricFamily>& all, const repo::database& db) {
  auto report = db.role();
  bool up =
      report.role == repo::database_role::replica || report.role == repo::database_role::primary;
  all.push_back(single("fly_database_up", "1 where the local database answers", up ? 1 : 0));
  if (report.role == repo::database_role::replica && report.server.lag.count() >= 0)
    all.push_back(single("fly_replication_lag_seconds", "Replay delay of the local replica",
                         std::chrono::duration<double>(report.server.lag).count()));
  auto counts = db.counts();
  all.push_back(single("fly_waiters", "Waits for the local database to have a write",
                       number(counts.waiters)));
  auto pool = family("fly_pool_connections", "Connections to the local database");
  add(pool, number(counts.connections_idle), "state", "idle");
  add(pool, number(counts.connections_open - counts.connections_idle), "state", "busy");
  all.push_back(std::move(pool));
  all.push_back(single("fly_pool_queued", "Threads that wait for a connection to the database",
                       number(counts.queued)));
}

void add_restarts(std::vector<MetricFamily>& all, const actors::supervisor& tree) {
  auto restarts = family("fly_supervisor_restarts_total", "How often a child was started again",
                         MetricType::Counter);
  for (const auto& child : tree.which_children())
    add(restarts, number(child.restarts), "child", child.id);
  all.push_back(std::move(restarts));
}

} // namespace

std::vector<MetricFamily> state_metrics(const rpc::endpoint& rpc, const repo::database* db,
                                        const actors::supervisor* tree) {
  std::vector<MetricFamily> all;
  add_cluster(all, rpc.node());
  add_calls(all, rpc);
  if (db != nullptr)
    add_database(all, *db);
  if (tree != nullptr)
    add_restarts(all, *tree);
  return all;
}

} // namespace fly::admin
