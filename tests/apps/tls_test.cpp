// Proves TLS as its user has it: certificates from the command line, whole regions over encrypted
// links, nobody without a certificate, new files at SIGHUP.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/apps/local_cluster.hpp"

using namespace fly::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// A folder that is removed at the end.
struct scratch {
  scratch() {
    auto name = (fs::temp_directory_path() / "fly-cert-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~scratch() { fs::remove_all(path); }
  fs::path path;
};

shell_answer cert(const std::string& words) {
  return shell(std::string{"env -i PATH=$PATH "} + FLYCLUSTER + " cert " + words);
}

std::string content(const fs::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

TEST_CASE("three regions talk over encrypted links, and nobody without a certificate") {
  local_cluster shop{"--tls"};

  CHECK(has(shop.write("lax", "sealed").text, "\"visible\":true"));
  auto status = json::parse(shop.flycluster("lax", "--json status").text);
  CHECK(status["members"].size() == 3);
  CHECK(has(shop.flycluster("lax", "doctor").text, "the certificate is valid for 36"));

  auto without =
      shop.flycluster("lax", "--timeout 1 status 2>&1 --tls-cert '' --tls-key '' --tls-ca ''");
  CHECK(without.code == 1);
  // A certificate for lax does not make a member of syd.
  auto elsewhere = shop.flycluster("lax", "--timeout 1 --region syd status 2>&1");
  CHECK(elsewhere.code == 1);
  CHECK_MESSAGE(has(elsewhere.text, "not for the region 'syd'"), elsewhere.text);
}

TEST_CASE("SIGHUP takes new files, and says what is wrong with bad ones") {
  local_cluster shop{"--tls --regions syd,lax,ams"};
  auto tls = shop.folder() / "tls";
  auto pid = shop.part("syd", "node")["pid"].get<pid_t>();
  auto log = [&] { return content(shop.folder() / "syd.log"); };

  auto good = content(tls / "syd.pem");
  std::ofstream{tls / "syd.pem"} << "nothing";
  ::kill(pid, SIGHUP);
  CHECK(eventually([&] { return has(log(), "SIGHUP: invalid_argument: tls-cert:"); }));
  std::ofstream{tls / "syd.pem"} << good;
  ::kill(pid, SIGHUP);
  CHECK(eventually([&] { return has(log(), "SIGHUP: new files are taken"); }));

  CHECK(has(shop.write("lax", "after").text, "\"visible\":true"));
}

TEST_CASE("cert makes an authority and a node's files, and never writes over any") {
  scratch folder;
  auto dir = " --app shop --dir " + (folder.path / "new").string();

  CHECK(cert("init" + dir).code == 0);
  auto issued = cert("issue --json --name syd-1 --region syd --machine m1" + dir);
  CHECK_MESSAGE(issued.code == 0, issued.text);
  auto files = json::parse(issued.text);

  auto text = shell("openssl x509 -noout -text -in " + files["certificate"].get<std::string>());
  CHECK(has(text.text, "DNS:shop.internal, DNS:syd.shop.internal, DNS:m1.vm.shop.internal"));
  CHECK(shell("openssl verify -CAfile " + (folder.path / "new/ca.pem").string() + " " +
              files["certificate"].get<std::string>())
            .code == 0);
  using fs::perms;
  for (const auto& key : {folder.path / "new/ca.key", fs::path{files["key"].get<std::string>()}})
    CHECK((fs::status(key).permissions() & (perms::group_all | perms::others_all)) == perms::none);

  auto before = content(folder.path / "new/ca.key");
  auto again = cert("init" + dir);
  CHECK(again.code == 1);
  CHECK(has(again.text, "File exists"));
  CHECK(content(folder.path / "new/ca.key") == before);
  CHECK(cert("issue --name syd-1" + dir).code == 1);
}

TEST_CASE("a mistake of cert is named") {
  scratch folder;
  auto names = [&](const std::string& part, int code, const std::string& words) {
    CAPTURE(words);
    auto failed = cert(words + " --dir " + folder.path.string());
    CHECK(failed.code == code);
    CHECK_MESSAGE(has(failed.text, part), failed.text);
  };

  names("one of init, issue", 2, "");
  names("'renew' is not one of", 2, "renew --app shop");
  names("--app NAME", 2, "init");
  names("--name FILE", 2, "issue --app shop");
  names("--name FILE", 2, "issue --app shop --name ../x");
  names("are for issue", 2, "init --app shop --region syd");
  names("--days: 0", 2, "init --app shop --days 0");
  names("--days: 7301", 2, "init --app shop --days 7301");
  names("not expected", 2, "init again --app shop");
  names("app: 'a.b'", 1, "init --app a.b");
  names("ca.pem': No such file", 1, "issue --app shop --name x");
  CHECK(cert("init --app shop --dir " + folder.path.string()).code == 0);
  names("File name too long", 1, "issue --app shop --name " + std::string(300, 'x'));
  CHECK(has(cert("--help").text, "keep it where no node runs"));
}
