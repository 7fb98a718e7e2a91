// What membership costs: real meshes and encoders on the simulated network. One member is watched
// that has links to all others; these have none among themselves, since what a member costs depends
// on its own links alone: so a thousand fit into one process.
#include "tests/simulation/scale.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <vector>

#include <malloc.h>

#include "fly/cluster/node.hpp"
#include "tests/simulation/world.hpp"

namespace fly::simulation {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t regions = 10;
constexpr moment measured = 30s;
constexpr moment news = 2s;

struct figures {
  std::size_t members = 0;
  double bytes_out = 0;    // a second
  double messages_out = 0; // a second
  double bytes_in = 0;
  double cpu_us = 0;         // processor time a second, of the watched member's tasks
  double cpu_us_news = 0;    // processor time of one member that goes, and comes again
  double joined_seconds = 0; // until the watched member sees all
  double heap_bytes = 0;     // of a link, both ends and the simulated connection together
};

struct scene {
  explicit scene(std::size_t members) : all(1, false) {
    all.net.quality.whole_percent = 100;
    for (std::size_t i = 0; i < members; ++i) {
      auto fresh = std::make_unique<machine>();
      fresh->index = i;
      fresh->region = "r" + std::to_string(i % regions);
      fresh->id = "148e21dad" + std::to_string(10'000 + i);
      fresh->address = "[fdaa::" + std::to_string(i + 1) + "]:4370";
      all.net.add(*fresh);
      hosts.push_back(std::move(fresh));
    }
    nodes.resize(members);
  }

  /// Starts a node; the watched one, 0, knows all addresses.
  void start(std::size_t which) {
    auto& host = *hosts[which];
    all.when.at(now(), &host, [this, which, &host] {
      cluster::options settings;
      settings.region = host.region;
      settings.primary_region = "r0";
      settings.machine_id = host.id;
      settings.app_version = "registry.fly.io/shop:deployment-01J8";
      settings.secret = "of the simulation";
      settings.log = [](cluster::log_level, std::string_view) {};
      for (std::size_t i = 1; which == 0 && i < hosts.size(); ++i)
        settings.peers.push_back(hosts[i]->address);
      nodes[which] = std::make_unique<cluster::node>(settings);
      nodes[which]->join();
      nodes[which]->announce({.role = cluster::claim::role::replica,
                              .system = 7'412'345'678'901'234'567,
                              .timeline = 1,
                              .lsn = 1,
                              .server = 1});
      nodes[which]->announce_services(std::string(400, 's'));
    });
  }

  void stop(std::size_t which) {
    all.net.crash(*hosts[which], true);
    nodes[which].reset();
    ++hosts[which]->life;
  }

  void go_on(moment until) {
    while (all.when.step(until))
      continue;
  }

  bool sees(std::size_t count) const {
    auto views = nodes[0]->views();
    return views.size() == count && std::all_of(views.begin(), views.end(), [](const auto& view) {
             return view.state == cluster::presence::self || view.linked;
           });
  }

  world all;
  std::vector<std::unique_ptr<machine>> hosts;
  std::vector<std::unique_ptr<cluster::node>> nodes;
};

double heap_now() {
  return static_cast<double>(::mallinfo2().uordblks);
}

figures measure(std::size_t members) {
  figures result;
  result.members = members;
  scene stage{members};
  for (std::size_t i = 1; i < members; ++i)
    stage.start(i);
  stage.go_on(2s);
  auto heap = heap_now();
  auto begun = now();
  stage.start(0);
  do
    stage.go_on(now() + 50ms);
  while (!stage.sees(members));
  result.joined_seconds = std::chrono::duration<double>(now() - begun).count();
  stage.go_on(now() + 2s);
  result.heap_bytes = (heap_now() - heap) / static_cast<double>(members - 1);

  auto& host = *stage.hosts[0];
  auto seconds = std::chrono::duration<double>(measured).count();
  auto out = stage.all.net.from(host);
  auto in = stage.all.net.to(host);
  stage.all.when.watch(&host);
  stage.go_on(now() + measured);
  result.cpu_us = stage.all.when.watched_seconds() * 1e6 / seconds;
  auto out_now = stage.all.net.from(host);
  result.bytes_out = static_cast<double>(out_now.bytes - out.bytes) / seconds;
  result.messages_out = static_cast<double>(out_now.messages - out.messages) / seconds;
  result.bytes_in = static_cast<double>(stage.all.net.to(host).bytes - in.bytes) / seconds;

  // Until its link, its claim and its announcement are there: less than two heartbeats.
  stage.all.when.watch(&host);
  stage.stop(members - 1);
  stage.start(members - 1);
  stage.go_on(now() + news);
  result.cpu_us_news =
      std::max(0.0, stage.all.when.watched_seconds() * 1e6 -
                        result.cpu_us * std::chrono::duration<double>(news).count());
  for (std::size_t i = 0; i < members; ++i)
    stage.stop(i);
  return result;
}

void print_json(const std::vector<figures>& all, const std::string& file) {
  std::ofstream out{file};
  out << "[\n";
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& each = all[i];
    out << "  {\"members\": " << each.members << ", \"bytes_out_per_second\": " << each.bytes_out
        << ", \"bytes_in_per_second\": " << each.bytes_in
        << ", \"messages_out_per_second\": " << each.messages_out
        << ", \"cpu_us_per_second\": " << each.cpu_us
        << ", \"cpu_us_of_a_restart\": " << each.cpu_us_news
        << ", \"heap_bytes_per_link\": " << each.heap_bytes
        << ", \"joined_seconds\": " << each.joined_seconds << "}" << (i + 1 < all.size() ? "," : "")
        << "\n";
  }
  out << "]\n";
}

} // namespace

int measure_scale(const std::string& json_file) {
  std::vector<figures> all;
  std::printf("members  bytes/s out  bytes/s in  messages/s out  CPU, of 10 members'  heap a link, "
              "bytes  all seen after, s\n");
  for (std::size_t members : {10, 100, 300, 1000}) {
    all.push_back(measure(members));
    const auto& each = all.back();
    std::printf("%7zu  %11.0f  %10.0f  %14.1f  %19.1f  %18.0f  %17.2f\n", each.members,
                each.bytes_out, each.bytes_in, each.messages_out, each.cpu_us / all[0].cpu_us,
                each.heap_bytes, each.joined_seconds);
    std::fflush(stdout);
  }
  std::printf(
      "CPU of the member of 1,000: %.2f %% of one core; a restart of another member costs it "
      "%.1f ms\n",
      all.back().cpu_us / 1e4, all.back().cpu_us_news / 1e3);
  if (!json_file.empty())
    print_json(all, json_file);
  return 0;
}

} // namespace fly::simulation
