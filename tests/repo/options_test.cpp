// Proves where the options of a database come from, and that bad ones are named.
#include "fly/repo/options.hpp"

#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <boost/program_options.hpp>

#include "fly/actors/error.hpp"

using namespace std::chrono_literals;
using fly::errc;
using fly::repo::options;
namespace po = boost::program_options;

namespace {

options from(std::map<std::string, std::string> variables, const std::string& app = {}) {
  fly::cluster::options where;
  where.app = app;
  return options::from_env(where, [&](const char* name) -> std::optional<std::string> {
    auto it = variables.find(name);
    return it == variables.end() ? std::nullopt : std::optional{it->second};
  });
}

void parse(options& into, const std::vector<std::string>& arguments) {
  po::options_description flags;
  into.describe(flags);
  po::variables_map given;
  po::store(po::command_line_parser(arguments).options(flags).run(), given);
  po::notify(given);
}

bool names(const options& wrong, const std::string& part) {
  auto reason = wrong.validate();
  return reason == errc::invalid_argument && fly::text_of(reason).find(part) != std::string::npos;
}

options good() {
  return from({{"DATABASE_URL", "postgres://u:secret@db.internal/app"}});
}

} // namespace

TEST_CASE("the environment gives the URL and the bound, and flags change them") {
  auto settings = from({{"DATABASE_URL", "postgres://h/a"}, {"FLY_CONNECTIONS_MAX", "3"}}, "shop");
  CHECK(settings.database_url == "postgres://h/a");
  CHECK(settings.connections_max == 3);
  CHECK(settings.application_name == "shop");
  CHECK_FALSE(settings.validate());

  parse(settings,
        {"--database-url", "postgres://h/b", "--connections-max=5", "--role-interval=50"});
  CHECK(settings.database_url == "postgres://h/b");
  CHECK(settings.connections_max == 5);
  CHECK(settings.role_interval == 50ms);
  CHECK_FALSE(settings.validate());
}

TEST_CASE("without flags what the environment said stays") {
  auto settings = from({{"DATABASE_URL", "postgres://h/a"}, {"FLY_CONNECTIONS_MAX", "3"}});
  parse(settings, {});
  CHECK(settings.database_url == "postgres://h/a");
  CHECK(settings.connections_max == 3);
  CHECK(from({}).connections_max == 8);
}

TEST_CASE("the help shows no password") {
  auto settings = good();
  po::options_description flags;
  settings.describe(flags);
  std::ostringstream text;
  text << flags;
  CHECK(text.str().find("secret") == std::string::npos);
  CHECK(text.str().find("DATABASE_URL") != std::string::npos);
}

TEST_CASE("what cannot be used is named, without the password") {
  CHECK(names(from({}), "DATABASE_URL is not set"));
  CHECK(names(from({{"DATABASE_URL", "mysql://h"}}), "postgres://"));
  CHECK(names(from({{"DATABASE_URL", "postgres://h"}, {"FLY_CONNECTIONS_MAX", "many"}}),
              "FLY_CONNECTIONS_MAX=many"));
  CHECK_FALSE(good().validate());
  for (auto [value, fits] : {std::pair{0, false}, {1, true}, {1000, true}, {1001, false}}) {
    auto settings = good();
    settings.connections_max = static_cast<std::size_t>(value);
    CHECK(!settings.validate() == fits);
  }
  for (auto [value, fits] :
       {std::pair{9ms, false}, {10ms, true}, {60'000ms, true}, {60'001ms, false}}) {
    auto settings = good();
    settings.connect_timeout = value;
    CHECK(!settings.validate() == fits);
    settings = good();
    settings.role_interval = value;
    CHECK(!settings.validate() == fits);
    settings = good();
    settings.fresh_interval = value;
    CHECK(!settings.validate() == fits);
  }
  auto settings = good();
  settings.waiters_max = 0;
  CHECK(names(settings, "waiters_max"));
}

TEST_CASE("how long a key is remembered is given in seconds, and is bounded") {
  CHECK(good().key_lifetime == 24h);
  auto settings = from({{"DATABASE_URL", "postgres://h/a"}, {"FLY_KEY_LIFETIME", "600"}});
  CHECK(settings.key_lifetime == 10min);
  parse(settings, {});
  CHECK(settings.key_lifetime == 10min);
  parse(settings, {"--key-lifetime=3600"});
  CHECK(settings.key_lifetime == 1h);
  CHECK_FALSE(settings.validate());
  parse(settings, {"--key-lifetime=5"});
  CHECK(names(settings, "key-lifetime is 5"));
  CHECK(names(from({{"DATABASE_URL", "postgres://h/a"}, {"FLY_KEY_LIFETIME", "day"}}),
              "FLY_KEY_LIFETIME=day"));
}

TEST_CASE("the lease and the pooler come from the environment or flags, within bounds") {
  CHECK(good().lease == 3s);
  CHECK(good().pooler == options::pooler_mode::none);
  auto settings = from(
      {{"DATABASE_URL", "postgres://h/a"}, {"FLY_LEASE", "1500"}, {"FLY_POOLER", "transaction"}});
  CHECK_FALSE(settings.validate());
  CHECK(settings.lease == 1500ms);
  CHECK(settings.pooler == options::pooler_mode::transaction);
  parse(settings, {"--lease=500", "--pooler=none"});
  CHECK_FALSE(settings.validate());
  CHECK(settings.lease == 500ms);
  CHECK(settings.pooler == options::pooler_mode::none);
  parse(settings, {"--pooler=transaction"});
  CHECK(settings.lease == 500ms);
  CHECK(settings.pooler == options::pooler_mode::transaction);

  auto wrong = good();
  for (auto bad : {0ms, 499ms, 60'001ms}) {
    wrong.lease = bad;
    CHECK(names(wrong, "lease"));
  }
  wrong.lease = 60'000ms;
  CHECK_FALSE(wrong.validate());
  auto with = [](const char* name, const char* value) {
    return from({{"DATABASE_URL", "postgres://h/a"}, {name, value}});
  };
  CHECK(names(with("FLY_LEASE", "soon"), "FLY_LEASE=soon"));
  for (const char* unset : {"FLY_LEASE", "FLY_CONNECTIONS_MAX", "FLY_KEY_LIFETIME", "FLY_POOLER",
                            "FLY_SCHEMA", "FLY_READ_ONLY"})
    CHECK_FALSE(with(unset, "").validate()); // as with most tools
  CHECK(names(with("FLY_POOLER", "session"), "FLY_POOLER=session"));
  auto flagged = good();
  parse(flagged, {"--pooler=session"});
  CHECK(names(flagged, "--pooler=session"));
}

TEST_CASE("a node that only reads is made by the environment or a flag, not behind a pooler") {
  CHECK_FALSE(good().read_only);
  auto with = [](const char* value) {
    return from({{"DATABASE_URL", "postgres://h/a"}, {"FLY_READ_ONLY", value}});
  };
  CHECK(with("on").read_only);
  CHECK_FALSE(with("off").read_only);
  CHECK(names(with("yes"), "FLY_READ_ONLY=yes"));
  auto settings = with("on");
  parse(settings, {});
  CHECK(settings.read_only);
  CHECK_FALSE(settings.validate());
  settings = with("off");
  parse(settings, {"--read-only"});
  CHECK(settings.read_only);

  settings.pooler = options::pooler_mode::transaction;
  CHECK(names(settings, "read-only"));
}

TEST_CASE("each bad option is named, with what it may be") {
  auto with = [](auto change) {
    auto settings = good();
    change(settings);
    return settings;
  };

  CHECK(names(with([](options& o) { o.database_url.clear(); }), "DATABASE_URL"));
  CHECK(names(with([](options& o) { o.connections_max = 0; }), "connections-max is 0"));
  CHECK(names(with([](options& o) { o.connections_max = 1001; }), "1 to 1,000"));
  CHECK(names(with([](options& o) { o.connect_timeout = 9ms; }), "connect-timeout is 9"));
  CHECK(names(with([](options& o) { o.role_interval = 61s; }), "role-interval is 61000"));
  CHECK(names(with([](options& o) { o.fresh_interval = 0ms; }), "fresh_interval is 0"));
  CHECK(names(with([](options& o) { o.key_lifetime = 59s; }), "key-lifetime is 59"));
  CHECK(names(with([](options& o) { o.key_lifetime = 24h * 366; }), "31,536,000"));
  CHECK(names(with([](options& o) { o.lease = 1ms; }), "lease is 1"));
  CHECK(names(with([](options& o) { o.name = "Stats"; }), "name is Stats"));
  CHECK(names(with([](options& o) { o.name = std::string(41, 'a'); }), "40"));
  CHECK(names(with([](options& o) { o.waiters_max = 0; }), "waiters_max is 0"));
  auto schema = from({{"DATABASE_URL", "postgres://h/a"}, {"FLY_SCHEMA", "no"}});
  CHECK(names(schema, "FLY_SCHEMA=no"));
  CHECK_FALSE(with([](options& o) { o.name = std::string(40, 'a'); }).validate());
}

TEST_CASE("a flag that is no number, or none at all, is named by the parser") {
  for (const char* wrong : {"--connections-max=many", "--lease=3s", "--role-interval=1s",
                            "--connect-timeout=", "--key-lifetime=99999999999", "--no-such=1"}) {
    CAPTURE(wrong);
    auto settings = good();
    std::string said;
    try {
      parse(settings, {wrong});
    } catch (const po::error& reason) {
      said = reason.what();
    }
    std::string flag{wrong, std::string_view{wrong}.find('=')};
    CHECK(said.find(flag) != std::string::npos);
  }
}
