// What is done to a playground that runs.
#include <algorithm>
#include <csignal>
#include <stdexcept>
#include <thread>

#include "apps/local/eventually.hpp"
#include "apps/local/playground_parts.hpp"

namespace fly::local {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kill_timeout{5000};
constexpr std::chrono::milliseconds listen_time_max{15'000};

std::string name_of(const fault& what) {
  return what.part == "dns" ? "dns" : "the " + what.part + " of " + what.region;
}

/// As it is said of something that is hurt already.
std::string participle(const std::string& kind) {
  if (kind == "freeze")
    return "frozen";
  if (kind == "kill")
    return "killed";
  return kind == "cut" ? "cut off" : "delayed";
}

} // namespace

// -- what there is --------------------------------------------------------------------------------

std::size_t playground::parts::index(const std::string& region) const {
  auto found = std::find(options_.regions.begin(), options_.regions.end(), region);
  if (found == options_.regions.end())
    throw std::runtime_error{"there is no region " + region};
  return static_cast<std::size_t>(found - options_.regions.begin());
}

playground::parts::node& playground::parts::node_of(const std::string& region) {
  return nodes_.at(index(region));
}

postgres_server& playground::parts::server_of(const std::string& region) {
  index(region);
  auto* found = databases_->find(region);
  if (found == nullptr)
    throw std::runtime_error{"there is no database of " + region};
  return *found;
}

bool playground::parts::lasts(const fault_choice& which) const {
  return std::any_of(faults_.begin(), faults_.end(),
                     [&](const fault& each) { return which.has(each); });
}

void playground::parts::refuse_if_it_lasts(const fault_choice& which,
                                           const std::string& text) const {
  if (lasts(which))
    throw std::runtime_error{text};
}

void playground::parts::require_running(const fault& what) {
  bool runs = what.part == "node"       ? !node_of(what.region).running->ended()
              : what.part == "database" ? mark_of(server_of(what.region).pid()).pid != 0
                                        : mark_of(dns_->pid()).pid != 0;
  if (!runs)
    throw std::runtime_error{name_of(what) + " does not run"};
}

/// Brings the state up to date with processes and roles.
void playground::parts::note_parts() {
  state_.primary = databases_->primary();
  for (auto& each : state_.parts) {
    if (each.what == "node") {
      each.mark = node_of(each.region).running->mark();
    } else if (each.what == "dns") {
      each.mark = mark_of(dns_->pid());
    } else {
      each.what = databases_->role(each.region);
      each.mark = mark_of(databases_->find(each.region)->pid());
    }
  }
  state_.faults.clear();
  for (const auto& each : faults_)
    state_.faults.push_back(each.name() + " " + each.target());
  save(state_, options_.folder);
}

// -- begin and end --------------------------------------------------------------------------------

fault_result playground::parts::begin(const fault& what) {
  fault_result result;
  try {
    begin_one(what, result);
    if (what.lasts())
      faults_.push_back(what);
  } catch (const std::exception& reason) {
    result.problem = reason.what();
  }
  note_parts();
  return result;
}

fault_result playground::parts::end(const fault_choice& which) {
  fault_result result;
  if (!which.region.empty() && std::find(options_.regions.begin(), options_.regions.end(),
                                         which.region) == options_.regions.end())
    result.problem = "there is no region " + which.region;
  else if (!which.kind.empty() && !lasts(which))
    result.problem = (which.part.empty() ? which.region
                                         : name_of({.part = which.part, .region = which.region})) +
                     " is not " + participle(which.kind);
  std::vector<fault> left;
  for (const auto& each : faults_) {
    try {
      if (!which.has(each)) {
        left.push_back(each);
        continue;
      }
      end_one(each);
      result.ended.push_back(each);
    } catch (const std::exception& reason) {
      left.push_back(each);
      result.problem += (result.problem.empty() ? "" : "; ") + std::string{reason.what()};
    }
  }
  faults_ = std::move(left);
  note_parts();
  return result;
}

void playground::parts::begin_one(const fault& what, fault_result& into) {
  if (what.kind == "rebuild")
    return rebuild(what, into);
  if (what.lasts())
    refuse_if_it_lasts({what.kind, what.part, what.region},
                       (what.part.empty() ? what.region : name_of(what)) + " is " +
                           participle(what.kind) + " already");
  if (what.kind == "freeze") {
    require_running(what);
    freeze(what, true);
  } else if (what.kind == "kill") {
    require_running(what);
    kill(what, into);
  } else if (what.kind == "restart") {
    refuse_if_it_lasts({"freeze", what.part, what.region}, name_of(what) + " is frozen: thaw it");
    require_running(what);
    stop(what);
    start_again(what);
  } else if (what.kind == "cut") {
    lines_->cut(index(what.region), what.one_way != "out", what.one_way != "in");
  } else if (what.kind == "delay") {
    lines_->delay(index(what.region), what.delay);
  } else if (what.kind == "promote") {
    promote(what, into);
  } else {
    throw std::runtime_error{"there is no fault " + what.kind};
  }
  into.begun.push_back(what);
  if (!what.lasts())
    into.ended.push_back(what);
}

void playground::parts::end_one(const fault& what) {
  if (what.kind == "freeze")
    freeze(what, false);
  else if (what.kind == "kill")
    start_again(what);
  else if (what.kind == "cut")
    lines_->cut(index(what.region), false, false);
  else
    lines_->delay(index(what.region), std::nullopt);
}

// -- parts ----------------------------------------------------------------------------------------

void playground::parts::freeze(const fault& what, bool on) {
  if (what.part == "node")
    node_of(what.region).running->signal(on ? SIGSTOP : SIGCONT);
  else if (what.part == "database")
    on ? server_of(what.region).freeze() : server_of(what.region).thaw();
  else
    on ? dns_->freeze() : dns_->thaw();
}

void playground::parts::kill(const fault& what, fault_result& into) {
  if (what.part == "node") {
    auto& node = node_of(what.region);
    node.told = true;
    node.running->signal(SIGKILL);
    eventually([&] { return node.running->ended().has_value(); });
  } else if (what.part == "database") {
    server_of(what.region).kill();
  } else {
    dns_->kill();
  }
  // It is frozen no longer.
  std::erase_if(faults_, [&](const fault& each) {
    bool is_over = fault_choice{"freeze", what.part, what.region}.has(each);
    if (is_over)
      into.ended.push_back(each);
    return is_over;
  });
}

/// In order, as a deploy does it.
void playground::parts::stop(const fault& what) {
  if (what.part == "node") {
    node_of(what.region).told = true;
    stop_all({node_of(what.region).running.get()}, kill_timeout);
  } else if (what.part == "database") {
    server_of(what.region).stop();
  } else {
    dns_->kill();
  }
}

void playground::parts::start_again(const fault& what) {
  if (what.part == "node")
    start_node_again(node_of(what.region));
  else if (what.part == "database")
    server_of(what.region).start();
  else
    dns_->start_again();
}

void playground::parts::start_node_again(node& which) {
  auto number = index(which.region);
  which.running = launch(number);
  which.told = false;
  auto deadline = std::chrono::steady_clock::now() + listen_time_max;
  while (!is_listened(block_->address(number), options_.port)) {
    if (auto how = which.running->ended()) {
      which.told = true;
      throw std::runtime_error{"the node of " + which.region + " has ended as soon as it began, " +
                               *how + ": " + which.running->log_tail(5)};
    }
    if (std::chrono::steady_clock::now() > deadline)
      return; // a program may have no node
    std::this_thread::sleep_for(10ms);
  }
}

// -- the primary ----------------------------------------------------------------------------------

void playground::parts::promote(const fault& what, fault_result& into) {
  server_of(what.region);
  auto name = "the database of " + what.region;
  auto role = databases_->role(what.region);
  if (role == "primary")
    throw std::runtime_error{name + " is the primary already"};
  if (role == "old primary")
    throw std::runtime_error{name + " is an old primary: rebuild it first"};
  for (const auto* kind : {"kill", "freeze"})
    refuse_if_it_lasts({kind, "database", what.region}, name + " is " + participle(kind));
  into.switched = databases_->promote(what.region);
}

void playground::parts::rebuild(const fault& what, fault_result& into) {
  auto primary = databases_->primary();
  for (const auto* kind : {"kill", "freeze"})
    refuse_if_it_lasts({kind, "database", primary},
                       "the primary, of " + primary + ", is " + participle(kind));
  if (!what.region.empty() && (server_of(what.region), what.region == primary))
    throw std::runtime_error{"the database of " + primary + " is the primary"};
  auto which = what.region.empty() ? databases_->astray() : std::vector{what.region};
  for (const auto& region : which) {
    if (lines_->is_cut(index(region), index(primary)))
      throw std::runtime_error{"nothing passes between " + region + " and " + primary +
                               ": heal it first"};
    databases_->rebuild(region);
    for (auto* list : {&into.begun, &into.ended})
      list->push_back({.kind = what.kind, .region = region});
    std::erase_if(faults_, [&](const fault& each) {
      bool is_over = fault_choice{"", "database", region}.has(each);
      if (is_over)
        into.ended.push_back(each);
      return is_over;
    });
  }
}

} // namespace fly::local
