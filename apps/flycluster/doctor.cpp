#include "apps/flycluster/doctor.hpp"

#include <algorithm>
#include <cerrno>
#include <iomanip>
#include <iostream>
#include <system_error>

#include <poll.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "fly/actors/error.hpp"
#include "fly/cluster/address.hpp"
#include "fly/cluster/discovery.hpp"
#include "fly/cluster/dns.hpp"
#include "fly/cluster/tcp.hpp"

namespace fly::apps {

namespace {

using state = enum finding::state;

const char* word(state what) {
  switch (what) {
  case state::ok:
    return "ok";
  case state::warning:
    return "warning";
  case state::problem:
    break;
  }
  return "problem";
}

/// Returns why nobody can be reached there; "" where somebody takes connections.
std::string why_closed(const std::string& address, std::chrono::milliseconds longest) {
  auto where = cluster::parse_socket_address(address, cluster::default_port);
  if (!where)
    return text_of(where.error());
  auto socket = cluster::start_connect(*where);
  if (!socket)
    return text_of(socket.error());
  pollfd wanted{.fd = socket->descriptor(), .events = POLLOUT, .revents = 0};
  if (::poll(&wanted, 1, static_cast<int>(longest.count())) != 1)
    return "no answer within " + std::to_string(longest.count()) + " ms";
  int problem = 0;
  socklen_t size = sizeof problem;
  ::getsockopt(socket->descriptor(), SOL_SOCKET, SO_ERROR, &problem, &size);
  return problem == 0 ? "" : std::generic_category().message(problem);
}

std::string joined(const std::vector<std::string>& all) {
  std::string result;
  for (const auto& each : all)
    result += (result.empty() ? "" : ", ") + each;
  return result;
}

/// `check_environment` has named what is wrong with the files; here they are good today.
finding judge_certificate(std::chrono::system_clock::time_point valid_until) {
  constexpr int days_few = 14;
  auto left = std::chrono::floor<std::chrono::days>(valid_until - std::chrono::system_clock::now());
  auto text = "the certificate is valid for " + std::to_string(left.count()) + " more days";
  if (left.count() >= days_few)
    return {"TLS", state::ok, text};
  return {"TLS", state::warning, text, "issue a new one, and send the node SIGHUP"};
}

} // namespace

findings check_environment(const patient& who) {
  const auto& given = who.cluster;
  findings all;
  if (auto reason = given.validate())
    all.push_back({"environment", state::problem, text_of(reason),
                   "correct the variable or the flag that is named"});
  else
    all.push_back({"environment", state::ok,
                   "region " + given.region + ", primary region " + given.primary_region +
                       (given.app.empty() ? "" : ", app " + given.app)});
  auto secret = given.load_secret();
  if (secret && secret->empty() && !given.discovery_name().empty())
    all.push_back({"secret", state::warning, "none: who reaches the port may join the cluster",
                   "set FLY_SECRET, the same text on all nodes; on 6PN it is required"});
  else if (secret && !secret->empty())
    all.push_back({"secret", state::ok, "given"});
  if (auto tls = given.load_tls(); tls && *tls)
    all.push_back(judge_certificate((*tls)->valid_until()));
  return all;
}

findings check_dns(const patient& who, std::vector<std::string>& addresses) {
  const auto& given = who.cluster;
  cluster::discovery wanted{given.peers, given.discovery_name(), given.port};
  cluster::resolver resolver{given.dns_server, given.dns_timeout};
  auto server = given.dns_server.empty() ? "the system's name server" : given.dns_server;
  findings all;
  for (std::size_t i = 0; i < wanted.questions().size(); ++i) {
    const auto& name = wanted.questions()[i].name;
    bool own = name == given.discovery_name();
    auto answer = resolver.ask(name, own ? "vms." + name : "");
    wanted.take(i, answer.addresses);
    if (!answer.addresses)
      all.push_back({"DNS", state::problem,
                     name + " at " + server + ": " + text_of(answer.addresses.error()),
                     own ? "is FLY_APP_NAME right, and does a node run? Elsewhere than on Fly name "
                           "the server by FLY_DNS_SERVER, or the nodes by FLY_PEERS"
                         : "correct the peer's name, or give its address"});
    else
      all.push_back({"DNS", state::ok, name + " is " + joined(*answer.addresses)});
    if (own && answer.addresses && !answer.text)
      all.push_back({"DNS", state::warning, "vms." + name + ": " + text_of(answer.text.error()),
                     "nodes are found all the same; Fly's DNS has this record by itself"});
  }
  addresses = wanted.addresses();
  if (all.empty())
    all.push_back({"DNS", state::ok, "not needed: peers are given by address"});
  return all;
}

findings check_ports(const patient& who, const std::vector<std::string>& addresses) {
  constexpr std::size_t addresses_max = 32;
  auto longest = std::min<std::chrono::milliseconds>(who.timeout, std::chrono::seconds{2});
  findings all;
  std::size_t open = 0;
  std::size_t tried = std::min(addresses.size(), addresses_max);
  for (std::size_t i = 0; i < tried; ++i) {
    auto why = why_closed(addresses[i], longest);
    open += why.empty() ? 1 : 0;
    if (!why.empty())
      all.push_back({"ports", state::warning, addresses[i] + ": " + why,
                     "does a node listen there (--listen, --port), and may this place reach it?"});
  }
  for (auto& each : all)
    if (open == 0)
      each.state = state::problem;
  if (open > 0)
    all.push_back(
        {"ports", state::ok,
         std::to_string(open) + " of " + std::to_string(tried) + " addresses take connections"});
  return all;
}

int print_findings(const findings& all, bool json) {
  auto count = [&](state what) {
    return std::count_if(all.begin(), all.end(), [&](const auto& it) { return it.state == what; });
  };
  auto problems = count(state::problem);
  if (json) {
    auto rows = nlohmann::json::array();
    for (const auto& each : all)
      rows.push_back({{"topic", each.topic},
                      {"state", word(each.state)},
                      {"text", each.text},
                      {"advice", each.advice}});
    nlohmann::json body{
        {"problems", problems}, {"warnings", count(state::warning)}, {"findings", rows}};
    // Words of databases and members may be anything: replace what is not UTF-8.
    std::cout << body.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  } else {
    for (const auto& each : all) {
      std::cout << std::left << std::setw(9) << word(each.state) << std::setw(13) << each.topic
                << each.text << '\n';
      if (!each.advice.empty())
        std::cout << std::setw(22) << ""
                  << "-> " << each.advice << '\n';
    }
    std::cout << problems << (problems == 1 ? " problem, " : " problems, ") << count(state::warning)
              << " warnings\n";
  }
  return problems == 0 ? exit_done : exit_failed;
}

} // namespace fly::apps
