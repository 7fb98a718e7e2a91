// Proves that a link which its callers read goes on being read where memory ends in the middle of
// that.
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/cluster/fake_inlet.hpp"
#include "tests/cluster/fake_network.hpp"

using namespace fly;
using namespace fly::test;

namespace {

/// A node whose links can be lent; what would take memory throws on demand.
struct lending_node : fake_node {
  using fake_node::fake_node;

  void pause_reading(link_id link) override {
    paused = link;
    links->on_paused(link);
  }
  std::unique_ptr<inlet> open_inlet(link_id) override {
    if (no_memory)
      throw std::bad_alloc{};
    return std::make_unique<fake_inlet>(from);
  }
  void resume_reading(link_id) override { ++resumed; }
  void drain(link_id link, const std::shared_ptr<channel>& what) override {
    if (no_memory && what->unsent_bytes() > 0)
      throw std::bad_alloc{};
    fake_node::drain(link, what);
  }

  source from;
  link_id paused = 0;
  int resumed = 0;
  bool no_memory = false;
};

/// Sends back what it hears.
struct echo : listener {
  void on_frame(const std::shared_ptr<channel>& from, frame_kind kind,
                std::span<const std::byte> payload) override {
    from->send(kind, payload);
  }
  void on_link_down(const std::shared_ptr<channel>&, const caf::error&) override {}
  void on_change() override {}
};

struct lending_pair {
  lending_pair() {
    b.links->on_addresses({"a:1"});
    net.pass(1s);
    REQUIRE(b.sees(2));
    to_a = b.read().channels.at("a");
  }

  /// Wants to read until the owner has been told, and has tried.
  void wish() {
    std::vector<link_id> told;
    for (; told.empty(); told = b.bell->take().second)
      CHECK_FALSE(to_a->reading().begin());
    b.links->drain(told.front());
  }

  void comes(const std::vector<std::string>& payloads) {
    std::vector<char> bytes;
    for (const auto& each : payloads)
      append_frame(bytes, frame_kind::first_user, bytes_of(each));
    b.from.pieces.emplace_back(bytes.begin(), bytes.end());
  }

  network net;
  fake_node a{net, "a", "syd"};
  lending_node b{net, "b", "lax"};
  std::shared_ptr<channel> to_a;
};

} // namespace

TEST_CASE_FIXTURE(lending_pair, "a link that is paused in vain for want of memory is read again") {
  b.no_memory = true;

  CHECK_THROWS_AS(wish(), std::bad_alloc);

  CHECK(b.paused != 0);
  CHECK(b.resumed == 1);
  b.no_memory = false;
  wish(); // asks again
  CHECK(b.resumed == 1);
  CHECK(to_a->reading().begin());
}

TEST_CASE_FIXTURE(lending_pair,
                  "what a reader has left and cannot be dealt with leaves the link to "
                  "the next one") {
  b.heard_by.add(std::make_shared<echo>());
  wish();
  REQUIRE(to_a->reading().begin());
  comes({"x", "y"});
  b.no_memory = true;

  CHECK_THROWS_AS(b.links->on_unread(b.paused), std::bad_alloc);

  comes({"mine"});
  auto until = std::chrono::steady_clock::now() + 1s;
  CHECK(to_a->reading().read(
      to_a->reading().begin(), [](const frame&) { return true; }, [](const frame&) {}, until));
}
