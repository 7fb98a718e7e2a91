// Proves the names of the environment, that flags win over it, that each bad option is named, and
// where may be listened.
#include "fly/cluster/options.hpp"

#include <filesystem>
#include <fstream>
#include <map>

#include <boost/program_options.hpp>
#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "tests/cluster/certified.hpp"

using namespace std::chrono_literals;
using fly::errc;
using namespace fly::cluster;
using fly::test::certified;

namespace {

namespace po = boost::program_options;

options from(std::map<std::string, std::string> variables) {
  return options::from_env([&](const char* name) -> std::optional<std::string> {
    auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional{found->second};
  });
}

void parse(options& target, std::vector<std::string> arguments) {
  po::options_description flags;
  target.describe(flags);
  po::variables_map given;
  po::store(po::command_line_parser{arguments}.options(flags).run(), given);
  po::notify(given);
}

/// Returns the text of the problem, "" where there is none.
std::string problem_of(const options& settings) {
  auto problem = settings.validate();
  CHECK((!problem || problem == errc::invalid_argument));
  return fly::text_of(problem);
}

} // namespace

TEST_CASE("an empty environment gives a single node on a laptop") {
  auto settings = from({});

  CHECK(settings.region == "local");
  CHECK(settings.primary_region == "local");
  CHECK(settings.discovery_name().empty());
  CHECK(settings.listen_address()->host == "127.0.0.1");
  CHECK(settings.listen_address()->port == 4370);
  CHECK(problem_of(settings) == "");
}

TEST_CASE("the environment of Fly is read by its exact names") {
  auto settings = from({{"FLY_REGION", "syd"},
                        {"MY_REGION", "ignored"},
                        {"PRIMARY_REGION", "lax"},
                        {"FLY_APP_NAME", "shop"},
                        {"FLY_MACHINE_ID", "148e21dad76789"},
                        {"FLY_ALLOC_ID", "ignored"},
                        {"FLY_PRIVATE_IP", "fdaa:0:18:a7b::2"},
                        {"FLY_IMAGE_REF", "registry/shop:7"},
                        {"FLY_MACHINE_VERSION", "ignored"},
                        {"FLY_SECRET", "words"},
                        {"FLY_PEERS", "a:1, b  [::1]:3\n"},
                        {"FLY_PORT", "4400"},
                        {"FLY_DNS_SERVER", "[fdaa::3]:53"}});

  CHECK(settings.region == "syd");
  CHECK(settings.primary_region == "lax");
  CHECK(settings.discovery_name() == "shop.internal");
  CHECK(settings.machine_id == "148e21dad76789");
  CHECK(settings.app_version == "registry/shop:7");
  CHECK(*settings.load_secret() == "words");
  CHECK(settings.peers == std::vector<std::string>{"a:1", "b", "[::1]:3"});
  CHECK(to_string(*settings.listen_address()) == "[fdaa:0:18:a7b::2]:4400");
  CHECK(settings.dns_server == "[fdaa::3]:53");
  CHECK(problem_of(settings) == "");
}

TEST_CASE("the second names serve where the first are not set or empty") {
  auto settings = from({{"FLY_REGION", ""},
                        {"MY_REGION", "ams"},
                        {"FLY_ALLOC_ID", "m2"},
                        {"FLY_MACHINE_VERSION", "01H"}});

  CHECK(settings.region == "ams");
  CHECK(settings.machine_id == "m2");
  CHECK(settings.app_version == "01H");
}

TEST_CASE("a variable that cannot be used is named") {
  CHECK(problem_of(from({{"FLY_PORT", "banana"}})).find("FLY_PORT=banana") != std::string::npos);
  CHECK(problem_of(from({{"FLY_PORT", "65536"}})).find("FLY_PORT=65536") != std::string::npos);
  CHECK(problem_of(from({{"FLY_PORT", "0"}})) == "");
}

TEST_CASE("the time to leave is written as in fly.toml") {
  CHECK(from({}).kill_timeout == 5s);
  CHECK(from({{"FLY_KILL_TIMEOUT", "7"}}).kill_timeout == 7s);
  CHECK(from({{"FLY_KILL_TIMEOUT", "500ms"}}).kill_timeout == 500ms);
  CHECK(problem_of(from({{"FLY_KILL_TIMEOUT", "soon"}})).find("FLY_KILL_TIMEOUT=soon") !=
        std::string::npos);
  options settings;
  parse(settings, {"--kill-timeout", "2m"});
  CHECK(settings.kill_timeout == 120s);
  CHECK_THROWS_AS(parse(settings, {"--kill-timeout", "2 m"}), po::error);
  for (const char* flag :
       {"--port", "--heartbeat", "--discovery-interval", "--unsent-bytes-max", "--busy-poll-us"})
    for (const char* number : {"-1", "+1", "1.5", "0x10", "", " 1", "99999999999999999999"})
      CHECK_THROWS_AS(parse(settings, {flag, number}), po::error);
  for (const char* wrong : {"", "s", "5x", "-1", "5 s", "1.5", "99999999999"})
    CHECK_FALSE(fly::cluster::parse_time(wrong));
}

TEST_CASE("the time to poll is in microseconds, and 0 is none") {
  CHECK(from({}).busy_poll == 50us);
  CHECK(from({{"FLY_BUSY_POLL_US", "0"}}).busy_poll == 0us);
  CHECK(from({{"FLY_BUSY_POLL_US", "1000"}}).busy_poll == 1ms);
  for (const char* wrong : {"-1", "50us", "1.5", "99999999999999999999"})
    CHECK(problem_of(from({{"FLY_BUSY_POLL_US", wrong}})) ==
          "FLY_BUSY_POLL_US=" + std::string{wrong} + ": cannot be used (a number)");
  for (const char* wrong : {"1001", "4294967295"})
    CHECK(problem_of(from({{"FLY_BUSY_POLL_US", wrong}})).find("busy-poll-us: ") == 0);
  auto settings = from({{"FLY_BUSY_POLL_US", "30"}});

  parse(settings, {});
  CHECK(settings.busy_poll == 30us);
  parse(settings, {"--busy-poll-us", "0"});

  CHECK(settings.busy_poll == 0us);
  CHECK(problem_of(settings) == "");
}

TEST_CASE("flags win over the environment") {
  auto settings = from({{"FLY_REGION", "syd"}, {"FLY_PEERS", "old"}, {"FLY_APP_NAME", "shop"}});

  parse(settings, {"--region",
                   "hkg",
                   "--primary-region=syd",
                   "--peer",
                   "a:1",
                   "--peer",
                   "b",
                   "--listen",
                   "127.0.0.2:4371",
                   "--machine-id",
                   "m1",
                   "--dns-server",
                   "127.0.0.1:5353",
                   "--heartbeat",
                   "100",
                   "--silence-max",
                   "700",
                   "--frame-bytes-max",
                   "70000",
                   "--app-version",
                   "v2",
                   "--port",
                   "4500",
                   "--tls-cert",
                   "a.pem",
                   "--tls-key",
                   "a.key",
                   "--tls-ca",
                   "ca.pem",
                   "--insecure"});

  CHECK(settings.region == "hkg");
  CHECK(settings.tls.certificate == "a.pem");
  CHECK(settings.tls.key == "a.key");
  CHECK(settings.tls.authority == "ca.pem");
  CHECK(settings.insecure);
  CHECK(settings.primary_region == "syd");
  CHECK(settings.app == "shop");
  CHECK(settings.peers == std::vector<std::string>{"a:1", "b"});
  CHECK(to_string(*settings.listen_address()) == "127.0.0.2:4371");
  CHECK(settings.machine_id == "m1");
  CHECK(settings.dns_server == "127.0.0.1:5353");
  CHECK(settings.heartbeat == 100ms);
  CHECK(settings.silence_max == 700ms);
  CHECK(settings.frame_bytes_max == 70'000);
  CHECK(settings.app_version == "v2");
  CHECK(settings.port == 4500);
}

TEST_CASE("a node tells the address that it advertises, else where it listens") {
  socket_address listened{"127.0.0.2", 4371};

  CHECK(to_string(*from({}).advertised_address(listened)) == "127.0.0.2:4371");
  auto settings = from({{"FLY_ADVERTISE", "10.0.0.7"}});
  CHECK(problem_of(settings) == ""); // any address: nobody listens there
  CHECK(to_string(*settings.advertised_address(listened)) == "10.0.0.7:4371");
  parse(settings, {"--advertise", "[fdaa::9]:4500"});
  CHECK(to_string(*settings.advertised_address(listened)) == "[fdaa::9]:4500");
}

TEST_CASE("without flags the environment stays") {
  auto settings = from({{"FLY_REGION", "syd"}, {"FLY_PEERS", "old"}});
  settings.heartbeat = 123ms;

  parse(settings, {});

  CHECK(settings.region == "syd");
  CHECK(settings.peers == std::vector<std::string>{"old"});
  CHECK(settings.heartbeat == 123ms);
}

TEST_CASE("each bad option is named") {
  auto with = [](auto change) {
    options settings;
    change(settings);
    return problem_of(settings);
  };
  auto names = [&](const std::string& option, auto change) {
    CAPTURE(option);
    CHECK(with(change).find(option) == 0);
  };

  names("region", [](options& o) { o.region = ""; });
  names("region", [](options& o) { o.region = "two words"; });
  names("region", [](options& o) { o.region = std::string(256, 'x'); });
  names("primary-region", [](options& o) { o.primary_region = "\n"; });
  names("app", [](options& o) { o.app = "a b"; });
  names("machine-id", [](options& o) { o.machine_id = "a\tb"; });
  names("app-version", [](options& o) { o.app_version = std::string(513, 'x'); });
  names("listen", [](options& o) { o.listen = "127.0.0.1:99999"; });
  names("advertise", [](options& o) { o.advertise = "proxy.example"; });
  names("advertise", [](options& o) { o.advertise = "10.0.0.7:x"; });
  names("advertise", [](options& o) { o.advertise = "0.0.0.0:4370"; });
  names("advertise", [](options& o) { o.advertise = "::"; });
  names("peer", [](options& o) { o.peers = {"ok", "not ok"}; });
  names("dns-name", [](options& o) { o.dns_name = "shop internal"; });
  names("dns-name", [](options& o) { o.dns_name = std::string(254, 'x'); });
  names("dns-server", [](options& o) { o.dns_server = "name:53"; });
  names("dns-server", [](options& o) { o.dns_server = "127.0.0.1:x"; });
  names("silence-max", [](options& o) { o.silence_max = 99ms; });
  names("silence-max", [](options& o) { o.silence_max = 60'001ms; });
  names("kill-timeout", [](options& o) { o.kill_timeout = 301s; });
  names("heartbeat", [](options& o) { o.heartbeat = 9ms; });
  names("heartbeat", [](options& o) { o.heartbeat = o.silence_max / 3 + 1ms; });
  names("handshake-timeout", [](options& o) { o.handshake_timeout = 1ms; });
  names("discovery-interval", [](options& o) { o.discovery_interval = 0ms; });
  names("dns-timeout", [](options& o) { o.dns_timeout = 0ms; });
  names("dial-first", [](options& o) { o.dial_first = o.dial_max + 1ms; });
  names("dial-max", [](options& o) { o.dial_max = std::chrono::hours{2}; });
  names("strangers-max", [](options& o) { o.strangers_max = 0; });
  names("frame-bytes-max", [](options& o) { o.frame_bytes_max = 65'535; });
  names("busy-poll-us", [](options& o) { o.busy_poll = 1001us; });
  names("busy-poll-us", [](options& o) { o.busy_poll = -1us; });
  names("unsent-bytes-max", [](options& o) { o.unsent_bytes_max = 0; });
  names("log", [](options& o) { o.log = nullptr; });
  for (const char* file : {"/nonexistent/secret", "/", "/dev/zero"})
    names("secret-file", [file](options& o) { o.secret_file = file; });
  CHECK(with([](options& o) { o.region = std::string(255, 'x'); }) == "");
  CHECK(with([](options& o) { o.silence_max = 100ms, o.heartbeat = 33ms; }) == "");
}

TEST_CASE("loopback is free, 6PN needs a secret, anything else a secret and TLS") {
  auto listen = [](const std::string& where, const std::string& secret) {
    options settings;
    settings.listen = where;
    settings.secret = secret;
    return problem_of(settings);
  };

  for (const auto* free : {"127.0.0.1", "127.255.0.9:1", "::1", "[::1]:80"})
    CHECK(listen(free, "") == "");
  CHECK(listen("fdaa::1", "").find("secret") != std::string::npos);
  CHECK(listen("[fdaa:0:1::2]:4370", "s") == "");
  for (const auto* wide : {"0.0.0.0", "::", "10.0.0.1", "fdab::1", "fd00::1", "::ffff:127.0.0.1",
                           "192.168.1.2:4370", "128.0.0.1", "126.255.255.255"}) {
    CAPTURE(wide);
    CHECK(listen(wide, "s").find("cannot listen on") == 0);
    CHECK(listen(wide, "s").find("--tls-cert") != std::string::npos);
  }
  CHECK(listen("localhost", "s").find("127.0.0.1") != std::string::npos);
}

TEST_CASE("with a secret and TLS, or where the user insists, any address is listened on") {
  certified by;
  options settings;
  settings.listen = "10.0.0.1";
  settings.app = "shop";
  settings.tls = by.files("node");

  CHECK(problem_of(settings).find("a secret (FLY_SECRET") != std::string::npos);
  settings.secret = "s";
  CHECK(problem_of(settings) == "");
  options insecure;
  insecure.listen = "0.0.0.0";
  insecure.insecure = true;
  CHECK(problem_of(insecure) == "");
}

TEST_CASE("TLS comes from the environment and from flags") {
  auto settings = from({{"FLY_TLS_CERT", "/a.pem"},
                        {"FLY_TLS_KEY", "/a.key"},
                        {"FLY_TLS_CA", "/ca.pem"},
                        {"FLY_INSECURE", "1"}});
  CHECK(settings.tls.certificate == "/a.pem");
  CHECK(settings.tls.key == "/a.key");
  CHECK(settings.tls.authority == "/ca.pem");
  CHECK(settings.insecure);
  CHECK(problem_of(settings).find("tls-cert: '/a.pem' cannot be read") == 0);
  CHECK(problem_of(from({{"FLY_INSECURE", "yes"}})).find("FLY_INSECURE=yes") == 0);
  CHECK(problem_of(from({{"FLY_TLS_CA", "/ca.pem"}})).find("tls-cert: TLS takes all") == 0);
}

TEST_CASE("an observer listens nowhere and has its own id, so any address and any id will do") {
  options settings;
  settings.listen = "0.0.0.0";
  settings.machine_id = "two words";
  settings.observer = true;

  CHECK(problem_of(settings) == "");
}

TEST_CASE("the secret comes from a file, without its final line break") {
  auto path = std::filesystem::temp_directory_path() / ("fly-secret-" + std::to_string(::getpid()));
  options settings;
  settings.secret_file = path.string();

  std::ofstream{path} << "many words\r\n";
  CHECK(*settings.load_secret() == "many words");
  std::ofstream{path} << "\n";
  CHECK_FALSE(settings.load_secret());
  std::filesystem::remove(path);
  CHECK_FALSE(settings.load_secret());
}

TEST_CASE("a file of a flag comes before a secret of the environment") {
  auto settings = from({{"FLY_SECRET", "of the environment"}, {"FLY_SECRET_FILE", "/nowhere"}});
  CHECK(*settings.load_secret() == "of the environment");
  parse(settings, {"--secret-file", "/not/there"});
  CHECK(problem_of(settings).find("'/not/there' cannot be read") != std::string::npos);
}

TEST_CASE("a second secret comes in the same ways, and goes with a first one") {
  auto path = std::filesystem::temp_directory_path() / ("fly-also-" + std::to_string(::getpid()));
  std::ofstream{path} << "old words\n";

  CHECK(*options{}.load_secret_also() == "");
  CHECK(*from({{"FLY_SECRET_ALSO", "old"}}).load_secret_also() == "old");
  CHECK(*from({{"FLY_SECRET_ALSO_FILE", path.string()}}).load_secret_also() == "old words");
  CHECK(problem_of(from({{"FLY_SECRET", "new"}, {"FLY_SECRET_ALSO", "old"}})) == "");
  CHECK(problem_of(from({{"FLY_SECRET_ALSO", "old"}})).find("secret-also: ") == 0);
  std::filesystem::remove(path);
  CHECK(problem_of(from({{"FLY_SECRET", "new"}, {"FLY_SECRET_ALSO_FILE", path.string()}}))
            .find("secret-also-file: ") == 0);
}

TEST_CASE("addresses are read in every usual form") {
  auto read = [](const char* text) {
    auto parsed = parse_socket_address(text, 7);
    return parsed ? to_string(*parsed) : "error";
  };

  CHECK(read("127.0.0.2") == "127.0.0.2:7");
  CHECK(read("127.0.0.2:4370") == "127.0.0.2:4370");
  CHECK(read("fdaa:0000::1") == "[fdaa::1]:7");
  CHECK(read("[FDAA::1]:80") == "[fdaa::1]:80");
  CHECK(read("[::1]") == "[::1]:7");
  CHECK(read("peer.example:1") == "peer.example:1");
  CHECK(read("a_b-c") == "a_b-c:7");
  CHECK(read("h:0") == "h:0");
  CHECK(read("h:65535") == "h:65535");
  for (const auto* bad : {"", ":1", "h:", "h:65536", "h:-1", "h:1x", "[::1", "[::1]x",
                          "[::1]:", "[127.0.0.1]:1", "[name]:1", "a b", "::g", "1:2:3", "h:+1"}) {
    CAPTURE(bad);
    CHECK(read(bad) == "error");
  }
}
