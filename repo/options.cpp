#include "fly/repo/options.hpp"

#include <charconv>

#include <boost/program_options.hpp>

#include "fly/actors/error.hpp"
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
po::typed_value<std::uint32_t>* interval(milliseconds& field) {
  return po::value<std::uint32_t>()
      ->value_name("MS")
      ->default_value(static_cast<std::uint32_t>(field.count()))
      ->notifier([&field](std::uint32_t value) { field = milliseconds{value}; });
}

/// Reads a number from the environment; false where it is none.
template <class Number>
bool read_number(const std::string& text, Number& number) {
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  return code == std::errc{} && end == text.data() + text.size();
}

} // namespace

options options::from_env(const cluster::options& where, const cluster::environment& lookup) {
  options result;
  result.application_name = where.app;
  if (auto url = lookup("DATABASE_URL"))
    result.database_url = *url;
  if (auto text = lookup("FLY_CONNECTIONS_MAX"))
    if (!read_number(*text, result.connections_max))
      result.unusable_.push_back("FLY_CONNECTIONS_MAX=" + *text);
  if (auto text = lookup("FLY_KEY_LIFETIME")) {
    std::uint32_t seconds = 0;
    if (!read_number(*text, seconds))
      result.unusable_.push_back("FLY_KEY_LIFETIME=" + *text);
    result.key_lifetime = std::chrono::seconds{seconds};
  }
  if (auto text = lookup("FLY_SCHEMA")) {
    result.manage_schema = *text != "off";
    if (*text != "off" && *text != "on")
      result.unusable_.push_back("FLY_SCHEMA=" + *text);
  }
  return result;
}

void options::describe(po::options_description& flags) {
  // Without a default value: the URL has a password, and help texts are shown to everybody.
  flags.add_options()("database-url", po::value<std::string>(&database_url)->value_name("URL"),
                      "the local database (DATABASE_URL)") //
      ("connections-max",
       po::value<std::size_t>(&connections_max)->value_name("N")->default_value(connections_max),
       "most connections to it (FLY_CONNECTIONS_MAX)")                                    //
      ("connect-timeout", interval(connect_timeout), "longest time to open a connection") //
      ("role-interval", interval(role_interval), "time between two looks at its role")    //
      ("key-lifetime",
       po::value<std::uint32_t>()
           ->value_name("S")
           ->default_value(static_cast<std::uint32_t>(key_lifetime.count()))
           ->notifier([this](std::uint32_t value) { key_lifetime = std::chrono::seconds{value}; }),
       "how long the key of a write is remembered (FLY_KEY_LIFETIME)") //
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
  if (waiters_max < 1)
    return out_of_range("waiters_max", 0, "1 and more");
  return {};
}

} // namespace fly::repo
