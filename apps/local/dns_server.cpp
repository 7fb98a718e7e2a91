#include "apps/local/dns_server.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fly::local {

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return result;
}

/// Returns a UDP port that was free a moment ago.
std::uint16_t free_port() {
  int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  auto address = loopback(0);
  socklen_t length = sizeof(address);
  ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), length);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length);
  ::close(descriptor);
  return ntohs(address.sin_port);
}

} // namespace

dns_server::dns_server(std::vector<std::string> dnsmasq_options) {
  auto pattern = (std::filesystem::temp_directory_path() / "fly-dns-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    throw std::runtime_error("no temporary directory");
  directory_ = pattern;
  try {
    std::filesystem::create_directory(directory_ + "/hosts");
    for (int attempt = 0; attempt < 5; ++attempt) { // the port may be taken meanwhile
      port_ = free_port();
      write_settings(dnsmasq_options);
      start();
      if (wait_until_it_answers())
        return;
      kill();
    }
    throw std::runtime_error("dnsmasq does not answer (package dnsmasq-base)");
  } catch (...) {
    remove_folder();
    throw;
  }
}

dns_server::~dns_server() {
  kill();
  remove_folder();
}

void dns_server::remove_folder() const {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

bool dns_server::wait_until_it_answers() {
  for (int i = 0; i < 500; ++i) {
    if (::waitpid(process_, nullptr, WNOHANG) != 0) { // it has ended by itself
      process_ = -1;
      return false;
    }
    if (answers())
      return true;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return false;
}

void dns_server::start_again() {
  start();
  if (!wait_until_it_answers())
    throw std::runtime_error("dnsmasq does not answer again");
}

void dns_server::write_settings(const std::vector<std::string>& dnsmasq_options) const {
  std::ofstream file{directory_ + "/dnsmasq.conf"};
  file << "port=" << port_ << "\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\n"
       << "hostsdir=" << directory_ << "/hosts\nlocal-ttl=0\nlocal=/internal/\nuser=\n"
       << "keep-in-foreground\npid-file=\n";
  for (const auto& line : dnsmasq_options)
    file << line << '\n';
  if (!file.flush())
    throw std::runtime_error("cannot write " + directory_ + "/dnsmasq.conf");
}

void dns_server::start() {
  auto configuration = "--conf-file=" + directory_ + "/dnsmasq.conf";
  std::string program = ::access("/usr/sbin/dnsmasq", X_OK) == 0 ? "/usr/sbin/dnsmasq" : "dnsmasq";
  process_ = ::fork();
  if (process_ < 0)
    throw std::runtime_error("cannot fork");
  if (process_ > 0)
    return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL); // a parent that crashes leaves nothing behind
  int silent = ::open("/dev/null", O_WRONLY);
  ::dup2(silent, STDERR_FILENO);
  ::execlp(program.c_str(), "dnsmasq", configuration.c_str(), nullptr);
  ::_exit(127);
}

/// Asks for a name and takes any answer.
bool dns_server::answers() const {
  constexpr std::array<unsigned char, 26> question{
      0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 8, 'i', 'n', 't', 'e', 'r', 'n', 'a', 'l', 0, 0, 1, 0, 1};
  int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  auto address = loopback(port_);
  ::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  bool sent = ::send(descriptor, question.data(), question.size(), MSG_NOSIGNAL) > 0;
  pollfd polled{descriptor, POLLIN, 0};
  std::array<char, 512> reply{};
  bool answered = sent && ::poll(&polled, 1, 100) > 0 &&
                  ::recv(descriptor, reply.data(), reply.size(), MSG_DONTWAIT) > 0;
  ::close(descriptor);
  return answered;
}

void dns_server::set_hosts(
    const std::vector<std::pair<std::string, std::string>>& address_and_name) {
  // dnsmasq watches the directory and adds what it finds; only a new start forgets, SIGHUP does
  // too.
  std::ofstream file{directory_ + "/hosts/all"};
  for (const auto& [address, name] : address_and_name)
    file << address << ' ' << name << '\n';
  file.close();
  ::kill(process_, SIGHUP);
}

std::string dns_server::address() const {
  return "127.0.0.1:" + std::to_string(port_);
}

void dns_server::kill() {
  if (process_ <= 0)
    return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

void dns_server::freeze() {
  ::kill(process_, SIGSTOP);
}

void dns_server::thaw() {
  ::kill(process_, SIGCONT);
}

} // namespace fly::local
