// Proves that answers of name servers are damped: trouble changes nothing, an address goes slowly.
#include "fly/cluster/discovery.hpp"

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"

using namespace fly::cluster;
using fly::errc;

namespace {

using texts = std::vector<std::string>;

caf::expected<texts> failed() {
  return fly::make_error(errc::dns_failed, "no answer");
}

} // namespace

TEST_CASE("a failed or empty answer keeps the last good one, however often it comes") {
  damped_answers answers;
  CHECK_FALSE(answers.take(failed()));
  CHECK(answers.values().empty());
  CHECK(answers.take(texts{"b", "a"}));

  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(answers.take(failed()));
    CHECK_FALSE(answers.take(texts{}));
  }

  CHECK(answers.values() == texts{"a", "b"});
}

TEST_CASE("an address that is missing stays for three further good answers") {
  damped_answers answers;
  answers.take(texts{"a", "b"});

  for (int i = 0; i < damped_answers::misses_max; ++i) {
    answers.take(texts{"a"});
    answers.take(failed());
    CHECK(answers.values() == texts{"a", "b"});
  }
  CHECK(answers.take(texts{"a"}));

  CHECK(answers.values() == texts{"a"});
}

TEST_CASE("an address that comes back starts anew") {
  damped_answers answers;
  answers.take(texts{"a", "b"});
  for (int round = 0; round < 10; ++round) {
    answers.take(texts{"a"});
    answers.take(texts{"a"});
    answers.take(texts{"a", "b"});
  }

  CHECK(answers.values() == texts{"a", "b"});
}

TEST_CASE("a new address counts at once") {
  damped_answers answers;
  answers.take(texts{"a"});

  CHECK(answers.take(texts{"a", "c"}));
  CHECK_FALSE(answers.take(texts{"c", "a"}));
  CHECK(answers.values() == texts{"a", "c"});
}

TEST_CASE("fixed peers by number need no question, those by name are asked for") {
  discovery peers{{"127.0.0.2:1", "fdaa::1", "shop.example", "shop.example:9", "shop.example"},
                  "shop.internal",
                  4370};

  CHECK(peers.addresses() == texts{"127.0.0.2:1", "[fdaa::1]:4370"});
  REQUIRE(peers.questions().size() == 3);
  CHECK(peers.questions()[0].name == "shop.example");
  CHECK(peers.questions()[0].port == 9);
  CHECK(peers.questions()[1].port == 4370);
  CHECK(peers.questions()[2].name == "shop.internal");
}

TEST_CASE("all addresses are told, each once, with the port of its name") {
  discovery peers{{"127.0.0.2", "shop.example:9"}, "shop.internal", 4370};

  peers.take(0, texts{"127.0.0.3"});
  peers.take(1, texts{"127.0.0.2", "fdaa::2"});
  peers.take(1, failed());

  CHECK(peers.addresses() == texts{"127.0.0.2:4370", "127.0.0.3:9", "[fdaa::2]:4370"});
}

TEST_CASE("nothing is asked for without peers and name") {
  discovery none{{}, "", 4370};

  CHECK(none.questions().empty());
  CHECK(none.addresses().empty());
}

TEST_CASE("the list of machines is read, and one that cannot be read keeps the last good one") {
  discovery peers{{}, "shop.internal", 4370};
  CHECK_FALSE(peers.take_machines(std::string{"148e21dad76789 sea,4d89699c030518 ams"}));
  std::vector<machine> two{{"148e21dad76789", "sea"}, {"4d89699c030518", "ams"}};
  CHECK(peers.machines() == two);

  CHECK(peers.take_machines(std::string{"148e21dad76789"}) == errc::dns_failed);
  CHECK(peers.take_machines(caf::expected<std::string>{failed().error()}) == errc::dns_failed);
  CHECK_FALSE(peers.take_machines(std::string{}));

  CHECK(peers.machines() == two);
}

TEST_CASE("texts that are no list of machines are errors") {
  for (const auto* bad : {" ", ",", "a", "a ", " b", "a b c", "a b,", ",a b", "a b,,c d", "a  b"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_machines(bad));
  }
  CHECK(parse_machines("")->empty());
  CHECK(parse_machines("a b")->size() == 1);
}
