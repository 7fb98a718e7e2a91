// Proves that addresses are passed on as soon as they are known, whatever else is not answered.
#include "fly/cluster/discovery_thread.hpp"

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/cluster/odd_server.hpp"
#include "tests/support/eventually.hpp"

using namespace fly::cluster;
using namespace std::chrono_literals;
using fly::test::eventually;
using fly::test::odd_server;

namespace {

using packet = odd_server::packet;
using texts = std::vector<std::string>;

constexpr unsigned char type_address = 1; // RFC 1035, 3.2.2
constexpr unsigned char type_text = 16;

/// Returns the name that is asked for, with dots.
std::string name_of(const packet& question) {
  std::string result;
  for (std::size_t at = 12; question[at] != 0; at += question[at] + 1U)
    result += (result.empty() ? "" : ".") +
              std::string{question.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                          question.begin() + static_cast<std::ptrdiff_t>(at) + 1 + question[at]};
  return result;
}

unsigned char type_of(const packet& question) {
  return question[12 + name_of(question).size() + 3]; // one length more than dots, the end, u16
}

/// Answers with the address 127.0.0.2, or with none where another type is asked for.
packet answered(packet question) {
  bool has_address = type_of(question) == type_address;
  question.resize(12 + name_of(question).size() + 6);
  question[2] |= 0x80;               // a response
  question[7] = has_address ? 1 : 0; // so many answers
  question[11] = 0;                  // nothing of EDNS
  if (has_address)
    for (int byte : {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 2})
      question.push_back(static_cast<unsigned char>(byte));
  return question;
}

/// Keeps what a discovery thread passes on.
class kept_addresses {
public:
  auto sink() {
    return [this](texts all) {
      std::lock_guard guard{mutex_};
      all_.push_back(std::move(all));
    };
  }

  texts last() {
    std::lock_guard guard{mutex_};
    return all_.empty() ? texts{} : all_.back();
  }

  std::size_t count() {
    std::lock_guard guard{mutex_};
    return all_.size();
  }

private:
  std::mutex mutex_;
  std::vector<texts> all_; // guarded by mutex_
};

discovery_thread::setup asking(const odd_server& server, kept_addresses& found,
                               const texts& peers = {}) {
  return {.what = discovery{peers, "shop.internal", 4370},
          .name = "shop.internal",
          .dns_server = server.address,
          .every = 100ms,
          .time_max = 20s,
          .log = [](log_level, std::string_view) {},
          .found = found.sink()};
}

} // namespace

TEST_CASE("a text that is not answered delays no address and no round") {
  odd_server server{[](packet question) {
    return type_of(question) == type_text ? packet{} : answered(std::move(question));
  }};
  kept_addresses found;

  discovery_thread thread{asking(server, found)};

  CHECK(eventually([&] { return found.last() == texts{"127.0.0.2:4370"}; }, 5s));
  CHECK(eventually([&] { return found.count() >= 5; }, 5s));
}

TEST_CASE("a name that is not answered does not keep back the addresses of another one") {
  odd_server server{[](packet question) {
    return name_of(question) == "silent.internal" ? packet{} : answered(std::move(question));
  }};
  kept_addresses found;

  discovery_thread thread{asking(server, found, {"127.0.0.9", "silent.internal"})};

  CHECK(eventually([&] { return found.last() == texts{"127.0.0.2:4370", "127.0.0.9:4370"}; }, 5s));
}
