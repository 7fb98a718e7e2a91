// Proves the guestbook's page in a real browser, Debian's Chromium (tests/run installs it): what
// stands there once its scripts have run, also while a region or the primary is down.
#include <cstdlib>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>

#include "tests/apps/local_cluster.hpp"
#include "tests/apps/shell.hpp"

using namespace fly::test;
using namespace std::chrono_literals;

namespace {

/// Returns the page as it stands some seconds after it was loaded.
std::string rendered(const std::string& url) {
  REQUIRE_MESSAGE(shell("command -v chromium").code == 0, "the Debian package chromium is missing");
  auto profile = (std::filesystem::temp_directory_path() / "fly-page-test-XXXXXX").string();
  REQUIRE(::mkdtemp(profile.data()) != nullptr);
  auto answer = shell("timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-quic "
                      "--disable-dev-shm-usage --no-first-run --disable-background-networking "
                      "--disable-component-update "
                      "--disable-sync --user-data-dir=" +
                      profile + " --virtual-time-budget=4000 --dump-dom " + url + " 2>/dev/null");
  std::filesystem::remove_all(profile);
  REQUIRE(answer.code == 0);
  return answer.text;
}

} // namespace

TEST_CASE("the page shows entries, who served it, who is primary, and how far each region is") {
  local_cluster shop;
  REQUIRE(has(shop.write("lax", "hello <b>from</b> lax").text, "\"visible\":true"));

  auto page = rendered("http://" + shop.host("lax") + ":8080/");

  CHECK(has(page, "Served by <b>machine-lax</b> in <b>lax</b>. Writes go to <b>syd</b>."));
  CHECK(has(page, "hello &lt;b&gt;from&lt;/b&gt; lax")); // text, not markup
  CHECK(has(page, "<span class=\"tag primary\">primary</span>"));
  CHECK(has(page, "this node"));
  CHECK(has(page, "up to date"));
  CHECK(has(page, "None yet."));
}

TEST_CASE("the page says which region is down, and keeps what it can show") {
  local_cluster shop;
  auto postmaster = shop.part("ams", "replica")["pid"].get<int>();
  shell("kill -INT " + std::to_string(postmaster));
  REQUIRE(
      eventually([&] { return has(shop.curl("lax", "8080/status").text, "unreachable"); }, 15s));

  auto elsewhere = rendered("http://" + shop.host("lax") + ":8080/");
  auto there = rendered("http://" + shop.host("ams") + ":8080/");

  CHECK(has(elsewhere, "<span class=\"tag bad\">database unreachable</span>"));
  CHECK(has(elsewhere, "warm")); // the entries of its own replica
  CHECK(has(there, "The database of this region does not answer"));
  CHECK(has(there, "Writes go to <b>syd</b>."));
}

TEST_CASE("the page does not say that writes go where no primary answers") {
  local_cluster shop;
  auto postmaster = shop.part("syd", "primary")["pid"].get<int>();
  shell("kill -INT " + std::to_string(postmaster));
  REQUIRE(eventually([&] { return has(shop.curl("lax", "8080/status").text, "\"primaries\":[]"); },
                     15s));

  auto page = rendered("http://" + shop.host("lax") + ":8080/");

  CHECK(has(page, "No primary answers: nobody can write."));
  CHECK_FALSE(has(page, "Writes go to <b>syd</b>"));
  CHECK_FALSE(has(page, "class=\"tag primary\""));
  CHECK(has(page, "warm")); // what its own replica has
}
