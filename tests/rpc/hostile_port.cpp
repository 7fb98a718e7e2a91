// fly_hostile_port: a member whose port strangers attack, and another one that calls it meanwhile.
// Idle connections that stay, connections that come and go, bytes at random, frames that are almost
// right, half handshakes; plain and with TLS. No call may fail, and descriptors and memory of the
// attacked member stay within bounds; how long calls take is compared with a quiet port, with a
// generous bound, since strangers and members share the machine here.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>

#include <boost/program_options.hpp>

#include "fly/actors/error.hpp"
#include "fly/cluster/certificates.hpp"
#include "fly/cluster/handshake.hpp"
#include "fly/cluster/tls_filter.hpp"
#include "shops.hpp"
#include "tests/support/program.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace po = boost::program_options;
using namespace std::chrono_literals;
using namespace fly;

namespace {

using clock_type = std::chrono::steady_clock;

// Bounds of what strangers may cost.
constexpr std::size_t descriptors_more_max = 64 + 32; // strangers_max, and some between two turns
constexpr std::size_t memory_more_max_kib = 48 * 1024;
constexpr double latency_ratio_max = 20;
constexpr auto latency_max = 20ms; // below it the ratio does not matter
constexpr auto join_max = 5s;

/// The files of a node with TLS, in a folder of their own; none without.
class certificate_files {
public:
  explicit certificate_files(bool encrypted) {
    if (!encrypted)
      return;
    folder_ = (std::filesystem::temp_directory_path() / "fly-hostile-XXXXXX").string();
    if (::mkdtemp(folder_.data()) == nullptr)
      throw std::runtime_error{"no folder for certificates"};
    auto authority = cluster::make_authority("shop", {});
    auto made = cluster::issue_certificate(*authority, {.app = "shop"});
    all_ = {write("node.pem", made->certificate), write("node.key", made->key),
            write("ca.pem", authority->certificate)};
  }
  ~certificate_files() {
    if (!folder_.empty())
      std::filesystem::remove_all(folder_);
  }
  certificate_files(const certificate_files&) = delete;
  certificate_files& operator=(const certificate_files&) = delete;

  const cluster::tls_files& all() const { return all_; }

private:
  std::string write(const char* name, const std::string& content) const {
    auto path = folder_ + "/" + name;
    std::ofstream{path} << content;
    return path;
  }

  std::string folder_;
  cluster::tls_files all_;
};

cluster::options options_of(const std::string& region, const cluster::tls_files& tls,
                            std::vector<std::string> peers = {}) {
  auto result = test::shop_options(region, std::move(peers));
  result.app = "shop";
  result.dns_name = "127.0.0.1"; // nothing to ask
  result.secret = "a secret";
  result.tls = tls;
  result.handshake_timeout = 1s;
  return result;
}

/// The attacked member, a process of its own: what it uses is its own.
class attacked {
public:
  explicit attacked(const cluster::tls_files& tls) {
    int told[2];
    if (::pipe(told) != 0 || (process_ = ::fork()) < 0)
      throw std::runtime_error{"no process"};
    if (process_ == 0)
      serve(tls, told[1]);
    ::close(told[1]);
    char text[64] = {};
    auto got = ::read(told[0], text, sizeof(text) - 1);
    ::close(told[0]);
    if (got <= 0)
      throw std::runtime_error{"the member does not start"};
    address_ = text;
  }
  ~attacked() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  attacked(const attacked&) = delete;
  attacked& operator=(const attacked&) = delete;

  const std::string& address() const { return address_; }

  std::size_t descriptors() const {
    std::filesystem::directory_iterator all{"/proc/" + std::to_string(process_) + "/fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  std::size_t memory_kib() const {
    std::ifstream in{"/proc/" + std::to_string(process_) + "/statm"};
    std::size_t all = 0;
    std::size_t resident = 0;
    in >> all >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) / 1024;
  }

private:
  [[noreturn]] static void serve(const cluster::tls_files& tls, int told) {
    cluster::node node{options_of("syd", tls)};
    rpc::endpoint rpc{node};
    rpc.serve(shop::shout, {.on_io_thread = true}, [](std::string text) { return text; });
    if (auto reason = node.join())
      std::cerr << fly::to_string(reason) << '\n';
    else if (auto where = node.self().address; ::write(told, where.data(), where.size()) > 0)
      for (;;)
        std::this_thread::sleep_for(1h);
    ::_exit(1);
  }

  pid_t process_ = -1;
  std::string address_;
};

/// A stranger's connection, from any address of the loopback net: none of them runs out of ports.
class connection {
public:
  connection(std::uint16_t port, std::uint64_t random) {
    descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(0x7f000002U + static_cast<std::uint32_t>(random % 250));
    ::bind(descriptor_, reinterpret_cast<sockaddr*>(&from), sizeof(from));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(descriptor_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
  }
  connection(connection&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), connected_(other.connected_) {}
  ~connection() {
    if (descriptor_ >= 0)
      ::close(descriptor_);
  }

  bool connected() const { return connected_; }
  void send(const std::string& bytes) const {
    ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

private:
  int descriptor_ = -1;
  bool connected_ = false;
};

using attack = std::function<void(std::uint16_t port, std::mt19937_64& random)>;

void come_and_go(std::uint16_t port, std::mt19937_64& random) {
  connection guest{port, random()};
}

void random_bytes(std::uint16_t port, std::mt19937_64& random) {
  std::string garbage(1 + random() % 600, '\0');
  for (auto& each : garbage)
    each = static_cast<char>(random());
  connection{port, random()}.send(garbage);
}

/// Says something good but for some bytes, or the beginning of it, or huge and zero lengths.
attack almost(std::string good) {
  return [good = std::move(good)](std::uint16_t port, std::mt19937_64& random) {
    auto bytes = good;
    switch (random() % 4) {
    case 0:
      bytes.resize(random() % bytes.size());
      break;
    case 1:
      bytes.replace(0, 4, std::string(4, random() % 2 == 0 ? '\xff' : '\0'));
      break;
    default:
      for (int i = 0; i < 3; ++i)
        bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    connection{port, random()}.send(bytes);
  };
}

/// Returns what a dialler of this cluster, or one with TLS, says first.
std::string first_words(const cluster::tls_files& tls) {
  std::vector<char> words;
  if (!tls.certificate.empty()) {
    auto context = cluster::tls_context::load(tls, "shop");
    cluster::tls_filter filter{*context, cluster::tls_filter::side::dialler};
    filter.seal({}, words);
  } else {
    auto who = std::make_shared<const cluster::identity>(
        cluster::identity{{.id = "x", .incarnation = 1, .region = "syd"}, "shop", "a guess"});
    cluster::handshake talk{cluster::handshake::side::dialler, who, cluster::random_nonce()};
    words = talk.begin();
  }
  return {words.begin(), words.end()};
}

struct figures {
  double p50_us = 0;
  double p99_us = 0;
  std::size_t calls = 0;
  std::size_t failed = 0;
  std::size_t attacks = 0;
  double join_ms = 0;          // until one that joined meanwhile saw the member
  std::size_t descriptors = 0; // the most that were seen
  std::size_t memory_kib = 0;
};

/// Returns the milliseconds that a newcomer needs until it is linked with the member.
double time_to_join(const attacked& member, const cluster::tls_files& tls) {
  cluster::node newcomer{options_of("ams", tls, {member.address()})};
  auto begun = clock_type::now();
  if (auto reason = newcomer.join())
    throw std::runtime_error{fly::to_string(reason)};
  while (newcomer.members().size() < 2 && clock_type::now() < begun + 2 * join_max)
    std::this_thread::sleep_for(1ms);
  return std::chrono::duration<double, std::milli>{clock_type::now() - begun}.count();
}

/// Calls one after the other for some seconds while `what` happens at most `per_second` times, and
/// another member joins.
figures measure(const rpc::endpoint& calls, const attacked& member, const cluster::tls_files& tls,
                double seconds, const attack& what, double per_second) {
  figures result;
  auto port = cluster::parse_socket_address(member.address(), 0)->port;
  auto end = clock_type::now() + std::chrono::duration_cast<clock_type::duration>(
                                     std::chrono::duration<double>{seconds});
  std::atomic<std::size_t> attacks{0};
  std::thread strangers{[&] {
    std::mt19937_64 random{20'261'125};
    auto begin = clock_type::now();
    for (auto now = begin; what && now < end; now = clock_type::now()) {
      auto due = std::chrono::duration<double>{now - begin}.count() * per_second;
      if (static_cast<double>(attacks) < due) {
        what(port, random);
        ++attacks;
      } else
        std::this_thread::sleep_for(200us);
    }
  }};
  auto joined = std::async(std::launch::async, [&] {
    std::this_thread::sleep_for(50ms); // the attack is under way
    return time_to_join(member, tls);
  });
  std::vector<double> took;
  auto look = clock_type::now();
  for (auto now = look; now < end; now = clock_type::now()) {
    auto answer = rpc_region(calls.with({.timeout = 10s}), "syd", shop::shout, "hi");
    took.push_back(std::chrono::duration<double, std::micro>{clock_type::now() - now}.count());
    if (!answer && ++result.failed == 1)
      std::cerr << "a call failed: " << fly::to_string(answer.error()) << '\n';
    if (now >= look) {
      result.descriptors = std::max(result.descriptors, member.descriptors());
      result.memory_kib = std::max(result.memory_kib, member.memory_kib());
      look = now + 50ms;
    }
  }
  strangers.join();
  result.join_ms = joined.get();
  std::sort(took.begin(), took.end());
  result.calls = took.size();
  result.attacks = attacks;
  result.p50_us = took[took.size() / 2];
  result.p99_us = took[took.size() * 99 / 100];
  return result;
}

/// Prints a row, and returns whether it is within the bounds.
bool judge(const std::string& name, const figures& now, const figures& quiet) {
  auto ratio = now.p50_us / quiet.p50_us;
  auto more = [](std::size_t a, std::size_t b) { return a > b ? a - b : 0; };
  auto descriptors = more(now.descriptors, quiet.descriptors);
  auto memory = more(now.memory_kib, quiet.memory_kib);
  bool slow =
      ratio > latency_ratio_max && now.p50_us > std::chrono::microseconds{latency_max}.count();
  bool joins = now.join_ms < std::chrono::milliseconds{join_max}.count();
  bool holds = now.failed == 0 && joins && descriptors <= descriptors_more_max &&
               (!test::memory_tells || memory <= memory_more_max_kib) && !slow;
  std::cout << std::left << std::setw(26) << name << std::right << std::fixed
            << std::setprecision(0) << std::setw(9) << now.attacks << std::setw(9) << now.calls
            << std::setw(9) << now.failed << std::setw(9) << now.p50_us << std::setw(9)
            << now.p99_us << std::setprecision(2) << std::setw(8) << ratio << std::setw(8)
            << now.p99_us / quiet.p99_us << std::setprecision(0) << std::setw(8) << now.join_ms
            << std::setw(8) << descriptors << std::setw(10) << memory << (holds ? "" : "  TOO MUCH")
            << std::endl;
  return holds;
}

struct settings {
  double seconds = 1;
  std::size_t idle = 10'000;
  double per_second = 1000;
};

bool run(bool encrypted, const settings& how) {
  certificate_files certificates{encrypted};
  const auto& files = certificates.all();
  attacked member{files};
  cluster::node node{options_of("lax", files, {member.address()})};
  rpc::endpoint calls{node};
  if (auto reason = node.join())
    throw std::runtime_error{fly::to_string(reason)};
  std::string kind = encrypted ? "tls/" : "plain/";
  measure(calls, member, files, how.seconds, {}, 0); // warms up
  auto quiet = measure(calls, member, files, how.seconds, {}, 0);
  bool holds = judge(kind + "quiet", quiet, quiet);
  auto words = first_words(files);
  const std::vector<std::pair<const char*, attack>> all{
      {"come and go", come_and_go},
      {"random bytes", random_bytes},
      {"almost right", almost(words)},
      {"half handshakes", [&words](std::uint16_t port, std::mt19937_64& random) {
         connection{port, random()}.send(words);
       }}};
  for (const auto& [name, what] : all)
    holds &=
        judge(kind + name, measure(calls, member, files, how.seconds, what, how.per_second), quiet);
  // All that the member does not close stay, and who was closed stays half open on this side.
  std::deque<connection> idle;
  auto stay = [&](std::uint16_t port, std::mt19937_64& random) {
    idle.emplace_back(port, random());
    if (!idle.back().connected())
      idle.pop_back();
    if (idle.size() > how.idle)
      idle.pop_front();
  };
  auto seconds = std::max(how.seconds, static_cast<double>(how.idle) / 5000);
  holds &= judge(kind + "idle, coming", measure(calls, member, files, seconds, stay, 5000), quiet);
  std::mt19937_64 random{7};
  auto port = cluster::parse_socket_address(member.address(), 0)->port;
  for (auto end = clock_type::now() + 60s; idle.size() < how.idle && clock_type::now() < end;)
    stay(port, random);
  holds &= judge(kind + std::to_string(idle.size()) + " idle",
                 measure(calls, member, files, how.seconds, {}, 0), quiet);
  return holds && idle.size() == how.idle;
}

/// Returns whether this process may hold so many connections.
bool may_hold(std::size_t connections) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  auto wanted = connections + 512;
  if (limit.rlim_cur >= wanted)
    return true;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, wanted);
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= wanted;
}

} // namespace

int main(int argc, char** argv) {
  settings how;
  po::options_description flags{"fly_hostile_port: a member whose port strangers attack"};
  flags.add_options()("seconds", po::value(&how.seconds), "of each attack (1)")(
      "idle", po::value(&how.idle), "connections that stay (10,000)")(
      "per-second", po::value(&how.per_second), "attacks (1,000)");
  return fly::test::run_program("fly_hostile_port", argc, argv, flags, [&](const auto&) {
    if (!may_hold(how.idle)) {
      std::cout << "skipped: " << how.idle << " idle connections need a hard limit of "
                << how.idle + 512 << " descriptors (ulimit -Hn)\n";
      return 77;
    }
    std::cout << "                            attacks    calls   failed      p50      p99  p50/q  "
                 " p99/q join ms     fd+    KiB+\n";
    bool plain = run(false, how);
    bool encrypted = run(true, how);
    return plain && encrypted ? 0 : 1;
  });
}
