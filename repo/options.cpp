#include "fly/repo/options.hpp"

#include <charconv>

#include <boost/program_options.hpp>

#include "fly/actors/error.hpp"
#include "fly/cluster/flag_number.hpp"
#include "fly/repo/database_url.hpp"

namespace fly::repo {

namespace {

namespace po = boost::program_options;
using std::chrono::milliseconds;

caf::error out_of_range(const char* option, std::int64_t value, const char* range) {
  return make_error(errc::invalid_argument, std::string{"option "} + option + " is " +
                                                std::to_string(value) + ", not " + range);
}

bool is_interval(milliseconds value) {
  return value >= milliseconds{10} && value <= milliseconds{60'000};
}

/// A flag in milliseconds. Shows the value that holds without it.
auto* interval(milliseconds& field) {
  return cluster::number_flag("MS", static_cast<std::uint32_t>(field.count()),
                              [&field](std::uint32_t value) { field = milliseconds{value}; });
}

} // namespace

options options::from_env(const cluster::options& where, const cluster::environment& lookup) {
  options result;
  result.application_name = where.app;
  // A variable that is set but empty counts as not set, as in cluster::options.
  auto given = [&](const char* name) {
    auto text = lookup(name);
    return text && text->empty() ? std::nullopt : text;
  };
  if (auto url = given("DATABASE_URL"))
    result.database_url = *url;
  auto read = [&](const char* name, auto& value) {
    auto text = given(name);
    if (!text)
      return;
    auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (code != std::errc{} || end != text->data() + text->size())
      result.unusable_.push_back(std::string{name} + "=" + *text + " (a number)");
  };
  read("FLY_CONNECTIONS_MAX", result.connections_max);
  auto key_lifetime = static_cast<std::int32_t>(result.key_lifetime.count());
  read("FLY_KEY_LIFETIME", key_lifetime);
  result.key_lifetime = std::chrono::seconds{key_lifetime};
  auto lease = static_cast<std::int32_t>(result.lease.count());
  read("FLY_LEASE", lease);
  result.lease = milliseconds{lease};
  if (auto text = given("FLY_POOLER"))
    result.take_pooler(*text, "FLY_POOLER=" + *text);
  auto read_switch = [&](const char* name, bool& value) {
    auto text = given(name);
    if (!text)
      return;
    value = *text == "on" || (value && *text != "off");
    if (*text != "off" && *text != "on")
      result.unusable_.push_back(std::string{name} + "=" + *text + " (on or off)");
  };
  read_switch("FLY_SCHEMA", result.manage_schema);
  read_switch("FLY_READ_ONLY", result.read_only);
  return result;
}

void options::take_pooler(const std::string& text, const std::string& said) {
  pooler = text == "transaction" ? pooler_mode::transaction : pooler_mode::none;
  if (text != "transaction" && text != "none")
    unusable_.push_back(said + " (none or transaction)");
}

void options::describe(po::options_description& flags) {
  // Without a default value: the URL has a password, and help texts are shown to everybody.
  flags.add_options()("database-url", po::value<std::string>(&database_url)->value_name("URL"),
                      "the local database (DATABASE_URL)") //
      ("connections-max",
       cluster::number_flag("N", connections_max,
                            [this](std::size_t value) { connections_max = value; }),
       "most connections to it (FLY_CONNECTIONS_MAX)")                                     //
      ("connect-timeout", interval(connect_timeout), "longest time to open a connection")  //
      ("role-interval", interval(role_interval), "time between two looks at its role")     //
      ("lease", interval(lease), "how long the leader leads without renewing (FLY_LEASE)") //
      ("pooler",
       po::value<std::string>()->value_name("MODE")->notifier(
           [this](const std::string& text) { take_pooler(text, "--pooler=" + text); }),
       "a pooler before it: none or transaction (FLY_POOLER)") //
      ("key-lifetime",
       cluster::number_flag(
           "S", static_cast<std::uint32_t>(key_lifetime.count()),
           [this](std::uint32_t value) { key_lifetime = std::chrono::seconds{value}; }),
       "how long the key of a write is remembered (FLY_KEY_LIFETIME)") //
      ("read-only", po::bool_switch()->notifier([this](bool on) { read_only |= on; }),
       "read alone, as on a replica: for development on one server (FLY_READ_ONLY)") //
      ("no-schema", po::bool_switch()->notifier([this](bool off) { manage_schema &= !off; }),
       "do not create fly's own tables (FLY_SCHEMA=off)");
}

caf::error options::validate() const {
  if (!unusable_.empty())
    return make_error(errc::invalid_argument, "cannot use " + unusable_.front());
  if (database_url.empty())
    return make_error(errc::invalid_argument,
                      "no database: DATABASE_URL is not set, and --database-url not given");
  if (auto reason = check_database_url(database_url))
    return reason;
  if (connections_max < 1 || connections_max > 1000)
    return out_of_range("connections-max", static_cast<std::int64_t>(connections_max),
                        "1 to 1,000");
  if (!is_interval(connect_timeout))
    return out_of_range("connect-timeout", connect_timeout.count(), "10 to 60,000 ms");
  if (!is_interval(role_interval))
    return out_of_range("role-interval", role_interval.count(), "10 to 60,000 ms");
  if (!is_interval(fresh_interval))
    return out_of_range("fresh_interval", fresh_interval.count(), "10 to 60,000 ms");
  if (key_lifetime < std::chrono::minutes{1} || key_lifetime > std::chrono::hours{24 * 365})
    return out_of_range("key-lifetime", key_lifetime.count(), "60 to 31,536,000 s");
  if (lease < milliseconds{500} || lease > milliseconds{60'000})
    return out_of_range("lease", lease.count(), "500 to 60,000 ms");
  if (read_only && pooler == pooler_mode::transaction)
    return make_error(errc::invalid_argument,
                      "option read-only cannot be used with pooler=transaction: the sessions are "
                      "others' as well");
  if (name.size() > 40 ||
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") != name.npos)
    return make_error(errc::invalid_argument,
                      "option name is " + name + ", not up to 40 of a-z, 0-9, _ and -");
  if (waiters_max < 1)
    return out_of_range("waiters_max", 0, "1 and more");
  return {};
}

} // namespace fly::repo
