#include "apps/flycluster/local.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/common/signals.hpp"
#include "apps/flycluster/commands.hpp"
#include "apps/flycluster/local_fault.hpp"
#include "apps/flycluster/local_request.hpp"
#include "apps/local/playground.hpp"

namespace fly::apps {

namespace {

namespace fs = std::filesystem;
using local::playground_state;

/// Longest time that a playground is given to end by itself.
constexpr std::chrono::milliseconds end_time_max{30'000};

void give_up_if_asked() {
  if (is_end_asked())
    throw std::runtime_error{"interrupted"};
}

// -- what runs where ------------------------------------------------------------------------------

void print_row(const std::array<std::string, 5>& row) {
  constexpr std::array widths{13, 12, 9, 18};
  for (std::size_t i = 0; i < widths.size(); ++i)
    std::cout << std::left << std::setw(widths[i]) << row[i];
  std::cout << row.back() << '\n';
}

/// Prints what runs where. Returns whether all of it runs.
bool print(const playground_state& state, const fs::path& folder, bool as_json) {
  auto text = local::to_json(state);
  bool all = state.ready && local::is_running(state.keeper);
  for (const auto& part : text["parts"])
    all = all && part["runs"].get<bool>();
  if (as_json) {
    text["folder"] = folder.string();
    text["runs"] = all;
    std::cout << text.dump(2) << std::endl;
    return all;
  }
  std::cout << state.name
            << (all           ? " runs"
                : state.ready ? " runs in part"
                              : " is starting")
            << ", primary in " << state.primary << ", " << state.delay.count()
            << " ms each way between regions, logs in " << folder.string() << '\n';
  print_row({"PART", "REGION", "PROCESS", "ADDRESS", "LOOK"});
  for (const auto& it : state.parts) {
    auto runs = local::is_running(it.mark);
    print_row({it.what, it.region.empty() ? "-" : it.region,
               runs ? std::to_string(it.mark.pid) : "ended", it.address,
               it.what == "node"  ? "tail -f " + it.log
               : it.what == "dns" ? "names in " + it.hint
                                  : "psql " + it.hint});
  }
  for (const auto& each : state.faults)
    std::cout << "fault: " << each << '\n';
  std::cout << std::flush;
  return all;
}

void print_hints(const playground_state& state, const fs::path& folder, bool detached) {
  for (const auto& it : state.parts)
    if (it.what == "node" && it.region != state.primary) {
      std::cout << "members: . " << it.hint << " && flycluster status\n";
      break;
    }
  std::cout << (detached ? "end: flycluster local down --dir " + folder.string()
                         : std::string{"Ctrl-C ends all of it."})
            << std::endl;
}

void tell_silent(const std::vector<std::string>& regions, const local_request& asked) {
  for (const auto& region : regions)
    std::cerr << "flycluster local: the program in " << region << " does not listen on FLY_PORT "
              << asked.what.port << " of its FLY_PRIVATE_IP (yet); see "
              << (asked.what.folder / (region + ".log")).string() << '\n';
}

// -- up -------------------------------------------------------------------------------------------

/// Does what other programs ask for until the end, and tells of nodes that have ended before.
void keep(local::playground& running) {
  while (!is_end_asked()) {
    for (const auto& line : running.look())
      std::cerr << "flycluster local: " << line << std::flush;
    if (wait_for_readable(running.door(), std::chrono::milliseconds{200}))
      running.serve();
  }
}

int fail(const std::string& text) {
  std::cerr << "flycluster local: " << text << (text.ends_with('\n') ? "" : "\n");
  return exit_failed;
}

/// Returns what is wrong with a program that is named by its path; one that is looked up in PATH is
/// for the nodes to find.
std::string program_problem(const std::string& program) {
  if (program.find('/') == std::string::npos || ::access(program.c_str(), X_OK) == 0)
    return {};
  return "cannot run " + program + ": " + std::generic_category().message(errno);
}

int up_here(const local_request& asked) {
  if (!asked.json)
    std::cerr << "starting PostgreSQL, DNS and " << asked.what.regions.size() << " nodes ...\n";
  local::playground running{asked.what, give_up_if_asked};
  tell_silent(running.silent_regions(), asked);
  print(running.state(), asked.what.folder, asked.json);
  if (!asked.json)
    print_hints(running.state(), asked.what.folder, false);
  keep(running);
  return exit_done;
}

/// The keeper's life, in a session of its own: says on `report` how the start went.
void keep_detached(const local_request& asked, int report) {
  ::setsid();
  int nothing = ::open("/dev/null", O_RDWR);
  for (int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    ::dup2(nothing, descriptor);
  std::string text;
  try {
    local::playground running{asked.what, give_up_if_asked};
    for (const auto& region : running.silent_regions())
      text += region + "\n";
    [[maybe_unused]] auto written = ::write(report, ("+" + text).data(), text.size() + 1);
    ::close(report);
    keep(running);
  } catch (const std::exception& reason) {
    text = std::string{"-"} + reason.what();
    [[maybe_unused]] auto written = ::write(report, text.data(), text.size());
  }
}

/// Reads all that the keeper reports; a signal meanwhile ends the keeper.
std::string read_report(int from, pid_t keeper) {
  std::string result;
  std::array<char, 1024> buffer{};
  while (true) {
    pollfd wait{from, POLLIN, 0};
    if (::poll(&wait, 1, 100) > 0) {
      auto count = ::read(from, buffer.data(), buffer.size());
      if (count <= 0)
        return result;
      result.append(buffer.data(), static_cast<std::size_t>(count));
    }
    if (is_end_asked())
      ::kill(keeper, SIGTERM);
  }
}

int up_detached(const local_request& asked) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return fail("no pipe");
  auto keeper = ::fork();
  if (keeper < 0)
    return fail("cannot start a process");
  if (keeper == 0) {
    ::close(ends[0]);
    keep_detached(asked, ends[1]);
    return exit_done;
  }
  ::close(ends[1]);
  auto report = read_report(ends[0], keeper);
  ::close(ends[0]);
  if (report.empty() || report[0] == '-') {
    ::waitpid(keeper, nullptr, 0); // it has cleaned up by then
    return fail(report.empty() ? "the playground ended while it started" : report.substr(1));
  }
  std::vector<std::string> silent;
  std::string region;
  for (char c : report.substr(1))
    if (c == '\n')
      silent.push_back(std::exchange(region, {}));
    else
      region += c;
  tell_silent(silent, asked);
  auto state = local::load(asked.what.folder);
  if (!state)
    return fail("the playground has ended already");
  print(*state, asked.what.folder, asked.json);
  if (!asked.json)
    print_hints(*state, asked.what.folder, true);
  return exit_done;
}

// -- down, status ---------------------------------------------------------------------------------

/// Returns the folder that is meant: the named one, else the only one there is.
fs::path folder_of(const local_request& asked) {
  if (asked.is_named)
    return asked.what.folder;
  auto prefix = local::default_folder("").filename().string();
  std::vector<fs::path> found;
  for (const auto& it : fs::directory_iterator{asked.what.folder.parent_path()})
    if (it.path().filename().string().starts_with(prefix))
      found.push_back(it.path());
  if (found.size() == 1)
    return found.front();
  std::string names;
  for (const auto& it : found)
    names += " " + it.filename().string().substr(prefix.size());
  throw std::runtime_error{found.empty() ? "nothing is up"
                                         : "several are up, choose one with --name:" + names};
}

int look_or_end(const local_request& asked) {
  auto folder = folder_of(asked);
  auto state = local::load(folder);
  if (!state)
    return fail("nothing is up in " + folder.string());
  if (asked.action == "fault")
    return run_fault(folder, asked);
  if (asked.action == "nemesis")
    return run_nemesis(*state, folder, asked);
  if (asked.action == "status")
    return print(*state, folder, asked.json) ? exit_done : exit_failed;
  if (auto problem = local::end_playground(*state, folder, end_time_max); !problem.empty())
    return fail(problem);
  if (asked.json)
    std::cout << nlohmann::json{{"name", state->name}, {"folder", folder.string()}, {"ended", true}}
              << '\n';
  else
    std::cout << state->name << " has ended; nothing is left\n";
  return exit_done;
}

} // namespace

int run_local(std::vector<std::string> words) {
  local_request asked;
  if (auto status = parse_local(std::move(words), asked))
    return *status;
  hold_end_signals();
  try {
    if (asked.action != "up")
      return look_or_end(asked);
    if (auto problem = program_problem(asked.what.command.front()); !problem.empty())
      return fail(problem);
    return asked.detach ? up_detached(asked) : up_here(asked);
  } catch (const std::exception& reason) {
    return fail(reason.what());
  }
}

} // namespace fly::apps
