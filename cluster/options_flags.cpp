// The flags of options.hpp; apart, because Boost.Program_options costs compile time.
#include "fly/cluster/options.hpp"

#include <boost/program_options.hpp>

#include "fly/cluster/flag_number.hpp"

namespace fly::cluster {

namespace {

namespace po = boost::program_options;

/// A flag in milliseconds. Shows the value that holds without it.
auto* milliseconds(std::chrono::milliseconds& field) {
  return number_flag("MS", static_cast<std::uint32_t>(field.count()),
                     [&field](std::uint32_t value) { field = std::chrono::milliseconds{value}; });
}

/// A flag in microseconds, likewise.
auto* microseconds(std::chrono::microseconds& field) {
  return number_flag("US", static_cast<std::uint32_t>(field.count()),
                     [&field](std::uint32_t value) { field = std::chrono::microseconds{value}; });
}

/// A flag that is written as in fly.toml.
po::typed_value<std::string>* time_text(std::chrono::milliseconds& field, const char* name) {
  auto assign = [&field, name](const std::string& given) {
    auto time = parse_time(given);
    if (!time)
      throw po::error{"the argument ('" + given + "') for option '--" + name + "' is invalid"};
    field = *time;
  };
  return po::value<std::string>()
      ->value_name("TIME")
      ->default_value(std::to_string(field.count()) + "ms")
      ->notifier(assign);
}

/// A flag whose default is shown where there is one.
po::typed_value<std::string>* text(std::string& field, const char* name) {
  auto* value = po::value<std::string>(&field)->value_name(name);
  return field.empty() ? value : value->default_value(field);
}

/// The file of a secret, which comes before a secret of the environment.
po::typed_value<std::string>* secret_path(std::string& file, std::string& secret) {
  return po::value<std::string>()->value_name("FILE")->notifier(
      [&file, &secret](const std::string& given) {
        file = given;
        secret.clear();
      });
}

/// A flag that is kept as it is.
template <class T>
auto* number(T& field, const char* name) {
  return number_flag(name, field, [&field](T value) { field = value; });
}

} // namespace

void options::describe(po::options_description& flags) {
  auto* peer = po::value<std::vector<std::string>>(&peers)->value_name("HOST[:PORT]");
  flags.add_options()                                                                   //
      ("region", text(region, "REGION"), "region of this node (FLY_REGION, MY_REGION)") //
      ("primary-region", text(primary_region, "REGION"),
       "region of the primary until a database has answered (PRIMARY_REGION)") //
      ("app", text(app, "NAME"),
       "name of the cluster; peers are looked up as NAME.internal (FLY_APP_NAME)")             //
      ("app-version", text(app_version, "TEXT"), "version of the application (FLY_IMAGE_REF)") //
      ("machine-id", text(machine_id, "ID"), "unique name of this node (FLY_MACHINE_ID)")      //
      ("listen", text(listen, "ADDRESS[:PORT]"),
       "loopback or 6PN address to listen on (FLY_PRIVATE_IP); 127.0.0.1 where none is given") //
      ("port", number(port, "PORT"),
       "port where an address names none (FLY_PORT)") //
      ("advertise", text(advertise, "ADDRESS[:PORT]"),
       "where the others reach this node, if not where it listens (FLY_ADVERTISE)")   //
      ("peer", peer, "a fixed peer, repeatable (FLY_PEERS)")                          //
      ("dns-name", text(dns_name, "NAME"), "name to look up instead of APP.internal") //
      ("dns-server", text(dns_server, "HOST:PORT"),
       "name server instead of the system's (FLY_DNS_SERVER)")                                    //
      ("discovery-interval", milliseconds(discovery_interval), "time between two looks into DNS") //
      ("secret-file", secret_path(secret_file, secret),
       "file with the cluster's secret (FLY_SECRET_FILE; or FLY_SECRET itself)") //
      ("secret-also-file", secret_path(secret_also_file, secret_also),
       "file with a second secret to take while it is changed (FLY_SECRET_ALSO_FILE; or "
       "FLY_SECRET_ALSO itself)") //
      ("tls-cert", text(tls.certificate, "FILE"),
       "this node's certificate, PEM: encrypts every link, with --tls-key and --tls-ca "
       "(FLY_TLS_CERT)")                                                         //
      ("tls-key", text(tls.key, "FILE"), "key of the certificate (FLY_TLS_KEY)") //
      ("tls-ca", text(tls.authority, "FILE"),
       "authorities that sign the members' certificates (FLY_TLS_CA)") //
      ("insecure", po::bool_switch(&insecure)->default_value(insecure),
       "listen beyond loopback without secret or TLS (FLY_INSECURE=1)")     //
      ("heartbeat", milliseconds(heartbeat), "time between two heartbeats") //
      ("silence-max", milliseconds(silence_max),
       "time without a sign of life until a member is gone") //
      ("kill-timeout", time_text(kill_timeout, "kill-timeout"),
       "time to end what runs and leave, \"500ms\", \"5s\" (FLY_KILL_TIMEOUT)") //
      ("frame-bytes-max", number(frame_bytes_max, "BYTES"),
       "longest frame, the same on all nodes") //
      ("unsent-bytes-max", number(unsent_bytes_max, "BYTES"),
       "bytes that may wait for one member") //
      ("busy-poll-us", microseconds(busy_poll),
       "time to look for more work before sleeping; 0 for none (FLY_BUSY_POLL_US)");
}

} // namespace fly::cluster
