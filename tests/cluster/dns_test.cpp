// Proves against a real dnsmasq that the resolver reads addresses of both families and texts, also
// split ones, and that each way of not answering is an error within its time.
#include "fly/cluster/dns.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/discovery.hpp"
#include "tests/cluster/odd_server.hpp"
#include "tests/support/dns_server.hpp"
#include "tests/support/eventually.hpp"

using namespace std::chrono_literals;
using fly::errc;
using fly::cluster::resolver;
using fly::test::dns_server;
using fly::test::eventually;
using fly::test::odd_server;

namespace {

using packet = odd_server::packet;
using texts = std::vector<std::string>;
} // namespace

TEST_CASE("addresses of both families are found") {
  dns_server server;
  server.set_hosts(
      {{"127.0.0.2", "shop.internal"}, {"fdaa::2", "shop.internal"}, {"fdaa::1", "shop.internal"}});
  resolver dns{server.address(), 1000ms};
  texts both{"127.0.0.2", "fdaa::1", "fdaa::2"};

  CHECK(eventually([&] {
    auto answer = dns.ask("shop.internal", "");
    return answer.addresses && *answer.addresses == both && answer.text && answer.text->empty();
  }));
}

TEST_CASE("one family of addresses is enough") {
  dns_server server;
  server.set_hosts({{"fdaa::7", "six.internal"}, {"127.0.0.4", "four.internal"}});
  resolver dns{server.address(), 1000ms};

  CHECK(eventually([&] {
    auto answer = dns.ask("six.internal", "");
    return answer.addresses && *answer.addresses == texts{"fdaa::7"};
  }));
  auto four = dns.ask("four.internal", "");
  REQUIRE(four.addresses);
  CHECK(*four.addresses == texts{"127.0.0.4"});
}

TEST_CASE("a text comes whole, also one that is split over several strings") {
  std::string long_text;
  for (int i = 0; i < 40; ++i)
    long_text += (i == 0 ? "" : ",") + std::to_string(148'000'000 + i) + " syd";
  // dnsmasq joins its comma-separated parts with no separator; a comma itself needs quotes.
  std::string split = "txt-record=vms.long.internal";
  for (std::size_t i = 0; i < long_text.size(); i += 100)
    split += ",\"" + long_text.substr(i, 100) + "\"";
  dns_server server{
      {"txt-record=vms.shop.internal,\"148e21dad76789 sea,4d89699c030518 ams\"", split}};
  server.set_hosts({{"127.0.0.2", "shop.internal"}, {"127.0.0.2", "long.internal"}});
  resolver dns{server.address(), 1000ms};

  auto answer = dns.ask("shop.internal", "vms.shop.internal");
  auto many = dns.ask("long.internal", "vms.long.internal");

  REQUIRE(answer.text);
  CHECK(*answer.text == "148e21dad76789 sea,4d89699c030518 ams");
  REQUIRE(many.text);
  CHECK(many.text->size() > 512);
  CHECK(*many.text == long_text);
  CHECK(fly::cluster::parse_machines(*many.text)->size() == 40);
}

TEST_CASE("a name that does not exist is an error, for addresses and text apart") {
  dns_server server{{"txt-record=vms.lonely.internal,\"a syd\""}};
  resolver dns{server.address(), 1000ms};

  auto nothing = dns.ask("nobody.internal", "vms.nobody.internal");
  auto text_only = dns.ask("nobody.internal", "vms.lonely.internal");

  REQUIRE_FALSE(nothing.addresses);
  CHECK(fly::code_of(nothing.addresses.error()) == errc::dns_failed);
  CHECK(fly::text_of(nothing.addresses.error()).find("nobody.internal") != std::string::npos);
  REQUIRE_FALSE(nothing.text);
  CHECK_FALSE(text_only.addresses);
  CHECK(text_only.text);
}

TEST_CASE("a dead or silent name server is an error within the time") {
  dns_server server;
  resolver dns{server.address(), 400ms};
  auto ask = [&] {
    auto began = std::chrono::steady_clock::now();
    auto answer = dns.ask("shop.internal", "vms.shop.internal");
    CHECK_FALSE(answer.addresses);
    CHECK_FALSE(answer.text);
    CHECK(std::chrono::steady_clock::now() - began < 3s);
    return fly::text_of(answer.addresses.error());
  };

  server.freeze();
  CHECK(ask() == "shop.internal: no answer within 400 ms");
  server.thaw();
  server.kill();
  CHECK(ask().find("Could not contact DNS servers") != std::string::npos);
}

TEST_CASE("a name server that answers that it cannot is told apart from one that is away") {
  for (unsigned char code : {2, 5}) { // SERVFAIL, REFUSED (RFC 1035, 4.1.1)
    odd_server server{[code](packet question) {
      question[2] |= 0x80; // a response
      question[3] = code;
      return question;
    }};
    resolver dns{server.address, 2000ms};
    auto answer = dns.ask("shop.internal", "");

    REQUIRE_FALSE(answer.addresses);
    CHECK(fly::text_of(answer.addresses.error()).find("SERVFAIL or REFUSED") != std::string::npos);
  }
}

TEST_CASE("an answer that cannot be read is told apart from none") {
  auto told = [](std::function<packet(packet)> reply) {
    odd_server server{std::move(reply)};
    resolver dns{server.address, 400ms};
    auto answer = dns.ask("shop.internal", "vms.shop.internal");
    REQUIRE_FALSE(answer.addresses);
    REQUIRE_FALSE(answer.text);
    CHECK(fly::code_of(answer.addresses.error()) == errc::dns_failed);
    return std::pair{fly::text_of(answer.addresses.error()), fly::text_of(answer.text.error())};
  };
  auto is_told = [](const std::string& text) {
    CAPTURE(text);
    return text.find("cannot be read") != std::string::npos ||
           text.find("Misformatted") != std::string::npos; // as c-ares says it
  };

  auto noise = told([](packet) { return packet(100, 0xA5); });
  auto stump = told([](packet question) { return packet{question[0], question[1]}; });
  auto promise = told([](packet question) {
    question[2] |= 0x80; // a response
    question[7] = 5;     // with five answers, which are not there
    return question;
  });

  for (const auto& each : {noise, stump, promise}) {
    CHECK(is_told(each.first));
    CHECK(is_told(each.second));
  }
}

TEST_CASE("a name server that cannot be named is an error") {
  resolver dns{"not an address", 400ms};

  auto answer = dns.ask("shop.internal", "vms.shop.internal");

  CHECK_FALSE(answer.addresses);
  CHECK_FALSE(answer.text);
}

TEST_CASE("a question that is under way can be cancelled") {
  dns_server server;
  server.freeze();
  resolver dns{server.address(), 20'000ms};
  std::thread canceller{[&] {
    std::this_thread::sleep_for(50ms);
    dns.cancel();
  }};
  auto began = std::chrono::steady_clock::now();

  auto answer = dns.ask("shop.internal", "");

  canceller.join();
  CHECK_FALSE(answer.addresses);
  CHECK(std::chrono::steady_clock::now() - began < 5s);
}
