#include "tests/faults/lab.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <stdexcept>

#include "apps/local/environment.hpp"
#include "apps/local/postgres_process.hpp"
#include "fly/actors/error.hpp"

namespace fly::faults {

namespace {

struct place {
  const char* id;
  const char* region;
  int host;
};

constexpr std::array places{place{"syd-1", "syd", 11}, place{"syd-2", "syd", 12},
                            place{"lax-1", "lax", 13}};
constexpr int caller_host = 14;

std::string address_of(int host) {
  return "127.0.0." + std::to_string(host);
}

const place& place_of(const std::string& id) {
  return *std::find_if(places.begin(), places.end(), [&](const place& it) { return it.id == id; });
}

} // namespace

lab::lab() : servers(2), port_(local::free_port()) {
  servers.primary().sql("CREATE TABLE rows (id bigserial PRIMARY KEY, text text);"
                        "ALTER TABLE rows OWNER TO app");
  servers.wait_caught_up();
  dns.set_hosts(hosts());
  repo::options database;
  database.database_url = servers.replica(1).url();
  database.role_interval = 200ms;
  database.fresh_interval = 300ms;
  caller_ = std::make_unique<caller_node>(node_options("ams", "ams-1", caller_host), database);
  if (auto reason = caller_->node.join())
    throw std::runtime_error{fly::to_string(reason)};
  for (const auto& it : places)
    start(it.id);
  settle();
}

std::vector<std::pair<std::string, std::string>> lab::hosts() const {
  std::vector<std::pair<std::string, std::string>> result;
  for (const auto& it : places)
    result.emplace_back(address_of(it.host), "faults.internal");
  result.emplace_back(address_of(caller_host), "faults.internal");
  return result;
}

cluster::options lab::node_options(const std::string& region, const std::string& id,
                                   int host) const {
  cluster::options result;
  result.region = region;
  result.primary_region = "syd";
  result.app = "faults";
  result.machine_id = id;
  result.listen = address_of(host);
  result.port = port_;
  result.dns_server = dns.address();
  result.discovery_interval = 200ms;
  result.heartbeat = heartbeat;
  result.silence_max = silence_max;
  result.log = [](cluster::log_level, std::string_view) {};
  return result;
}

void lab::start(const std::string& id) {
  const auto& where = place_of(id);
  auto& database = std::string{where.region} == "syd" ? servers.primary() : servers.replica(0);
  auto time = [](milliseconds value) { return std::to_string(value.count()); };
  nodes_.erase(id);
  nodes_[id] = std::make_unique<local::process>(
      local::process_setup{.arguments = {FLY_FAULT_NODE,
                                         "--region",
                                         where.region,
                                         "--primary-region",
                                         "syd",
                                         "--app",
                                         "faults",
                                         "--machine-id",
                                         id,
                                         "--listen",
                                         address_of(where.host),
                                         "--port",
                                         std::to_string(port_),
                                         "--dns-server",
                                         dns.address(),
                                         "--discovery-interval",
                                         "200",
                                         "--heartbeat",
                                         time(heartbeat),
                                         "--silence-max",
                                         time(silence_max),
                                         "--lease",
                                         time(node_lease),
                                         "--database-url",
                                         database.url()},
                           .environment = local::environment_with({}),
                           .log = servers.folder() / (id + ".log")});
}

void lab::kill(const std::string& id) {
  signal(id, SIGKILL);
  eventually([&] { return ended(id).has_value(); });
}

std::optional<cluster::member_view> lab::view(const std::string& id) const {
  for (auto& it : caller_->node.views())
    if (it.who.id == id)
      return it;
  return std::nullopt;
}

bool lab::is_well(const std::string& id) const {
  auto seen = view(id);
  auto wanted =
      id.starts_with("syd") ? cluster::claim::role::primary : cluster::claim::role::replica;
  return seen && seen->linked && seen->state == cluster::presence::alive &&
         !seen->services.empty() && seen->database.role == wanted;
}

bool lab::all_well() const {
  auto self = caller_->db.role().role;
  return self == repo::database_role::replica &&
         std::all_of(places.begin(), places.end(), [&](const place& it) { return is_well(it.id); });
}

void lab::settle() {
  if (eventually([this] { return all_well(); }, 30s))
    return;
  std::string text = "the nodes are not well:";
  for (const auto& it : places)
    text += std::string{"\n"} + it.id + (is_well(it.id) ? " is\n" : " is not\n") + log_of(it.id);
  throw std::runtime_error{text};
}

} // namespace fly::faults
