#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <caf/error.hpp>
#include <caf/expected.hpp>

#include "fly/cluster/address.hpp"
#include "fly/cluster/log.hpp"
#include "fly/cluster/tls_context.hpp"

namespace boost::program_options {
class options_description;
}

namespace fly::cluster {

/// Reads a time as fly.toml has it: a whole number of seconds, or of the unit that follows:
/// "500ms", "5s", "2m". Nothing where it is none.
std::optional<std::chrono::milliseconds> parse_time(std::string_view text);

/// The port where nobody says otherwise.
inline constexpr std::uint16_t default_port = 4370;

/// Looks up one environment variable; nothing where it is not set.
using environment = std::function<std::optional<std::string>(const char* name)>;

/// Looks into the environment of this process. Not safe beside a thread that changes it.
std::optional<std::string> process_environment(const char* name);

/// Where this node is and how it finds and trusts the others. The defaults make a single node on a
/// laptop work: region "local", on 127.0.0.1, no peers, no DNS, no secret. A value.
struct options {
  /// The region's label. FLY_REGION, else MY_REGION; --region.
  std::string region = "local";
  /// The region of the primary as long as no database has answered. PRIMARY_REGION;
  /// --primary-region.
  std::string primary_region = "local";
  /// The application: name of the cluster, and "<app>.internal" in DNS unless `dns_name` is set.
  /// Nodes of another name are refused. FLY_APP_NAME; --app. Empty: no DNS.
  std::string app{};
  /// The machine id, unique in the cluster and the same after a restart. FLY_MACHINE_ID, else
  /// FLY_ALLOC_ID; --machine-id. Empty: "<hostname>/<address>:<port>".
  std::string machine_id{};
  /// Text that tells versions of the application apart. FLY_IMAGE_REF, else FLY_MACHINE_VERSION;
  /// --app-version.
  std::string app_version{};

  /// Address to listen on, "127.0.0.2", "127.0.0.2:4370" or "[fdaa::1]:4370". FLY_PRIVATE_IP;
  /// --listen. Loopback; 6PN (fdaa::/16) with a secret; any other with secret and TLS. Empty:
  /// 127.0.0.1.
  std::string listen{};
  /// Port of `listen` where it names none, and of peers that name none. FLY_PORT; --port. 0 takes
  /// any free port, for tests.
  std::uint16_t port = default_port;
  /// Address at which the others reach this node, where it is not the one it listens on (behind a
  /// proxy, in a container), "10.0.0.7" or "10.0.0.7:4370": told to members, dialled by them, never
  /// listened on. Numeric. FLY_ADVERTISE; --advertise. Empty: where it listens.
  std::string advertise{};
  /// A visitor that neither listens nor is asked for work (the command line). It has an id of its
  /// own, whatever `machine_id` says; so its certificate, if any, must not be bound to a machine.
  bool observer = false;

  /// Fixed peers, "host", "host:port" or "[address]:port". FLY_PEERS, separated by commas or
  /// spaces; --peer, repeatable.
  std::vector<std::string> peers{};
  /// Name to look up in DNS. --dns-name. Empty: "<app>.internal" where `app` is set, else no DNS.
  std::string dns_name{};
  /// Name server to ask, "host:port" with a numeric host. FLY_DNS_SERVER; --dns-server. Empty: the
  /// system's.
  std::string dns_server{};
  /// Time between two looks into DNS, at least 100 ms.
  std::chrono::milliseconds discovery_interval{5000};
  /// Longest time for all answers of one look, 100 ms to 60 s.
  std::chrono::milliseconds dns_timeout{3000};

  /// What members prove to know, without sending it; empty: no proof is asked for. FLY_SECRET.
  std::string secret{};
  /// File whose content, 64 KiB at most, without final line breaks is the secret. FLY_SECRET_FILE;
  /// --secret-file.
  std::string secret_file{};
  /// A second secret that is taken from others as well, proofs and tokens alike, while the secret
  /// is changed on one node after the other (docs/deploying.md). FLY_SECRET_ALSO. Empty: none.
  std::string secret_also{};
  /// File whose content is that, as `secret_file`. FLY_SECRET_ALSO_FILE; --secret-also-file.
  std::string secret_also_file{};

  /// Files of this node's TLS, PEM: its certificate (and those between it and the authority), its
  /// key, and the authorities of its peers. All three or none; with them every link is encrypted,
  /// both sides show a certificate, and it must name the cluster (tls_names.hpp).
  /// FLY_TLS_CERT, FLY_TLS_KEY, FLY_TLS_CA; --tls-cert, --tls-key, --tls-ca.
  tls_files tls{};
  /// Listens beyond loopback without secret or TLS all the same: for networks that are safe by
  /// other means. FLY_INSECURE=1; --insecure.
  bool insecure = false;

  /// Time between two heartbeats on each link, 10 ms to a third of `silence_max`. --heartbeat.
  std::chrono::milliseconds heartbeat{1000};
  /// Longest time without a sign of life before a member counts as gone, 100 ms to 60 s. A long
  /// pause (a debugger, a stopped machine) looks the same as a crash; short values turn pauses into
  /// leaves. --silence-max.
  std::chrono::milliseconds silence_max{5000};
  /// Longest time that `node::leave` takes for what still runs here and for the goodbyes, 0 to
  /// 300 s. FLY_KILL_TIMEOUT; --kill-timeout; both as kill_timeout in fly.toml, which should be a
  /// second longer: a number of seconds, or "500ms", "5s", "2m".
  std::chrono::milliseconds kill_timeout{5000};
  /// Longest time from the connection to the end of the handshake, 100 ms to 60 s.
  std::chrono::milliseconds handshake_timeout{3000};
  /// Most connections that are not through the handshake; the oldest makes room.
  std::size_t strangers_max = 64;
  /// First and longest time between two attempts to reach one address.
  std::chrono::milliseconds dial_first{200};
  std::chrono::milliseconds dial_max{10'000};
  /// Longest frame (kind and payload), 64 KiB to 1 GiB. The same on all nodes. --frame-bytes-max.
  std::size_t frame_bytes_max = 16 * 1024 * 1024;
  /// Most bytes that wait for one socket; above it sends are refused. --unsent-bytes-max.
  std::size_t unsent_bytes_max = 8 * 1024 * 1024;

  /// How long the I/O thread looks for more work before it sleeps, once several frames have come at
  /// once, 0 to 1000 us; 0 for not at all. It gives way to any thread that wants the processor, and
  /// where it is in vain it is seldom tried (polling.hpp). FLY_BUSY_POLL_US; --busy-poll-us.
  std::chrono::microseconds busy_poll{50};

  /// Variables that `from_env` could not use, "FLY_PORT=banana"; `validate()` names them.
  std::vector<std::string> unusable{};

  /// Takes the log's lines; must not be empty. Members up and down are `info`.
  log_sink log = log_to_stderr();

  /// Returns the defaults changed by the environment: FLY_REGION, MY_REGION, PRIMARY_REGION,
  /// FLY_APP_NAME, FLY_MACHINE_ID, FLY_ALLOC_ID, FLY_PRIVATE_IP, FLY_ADVERTISE, FLY_IMAGE_REF,
  /// FLY_MACHINE_VERSION, FLY_SECRET, FLY_SECRET_FILE, FLY_SECRET_ALSO,
  /// FLY_SECRET_ALSO_FILE, FLY_TLS_CERT, FLY_TLS_KEY, FLY_TLS_CA, FLY_INSECURE, FLY_PEERS,
  /// FLY_PORT, FLY_DNS_SERVER, FLY_KILL_TIMEOUT, FLY_BUSY_POLL_US. A value that cannot be used is
  /// kept and named by `validate()`.
  static options from_env(const environment& lookup = process_environment);

  /// Adds the flags to `flags`, bound to the fields of this object, which must outlive the parsing.
  void describe(boost::program_options::options_description& flags);

  /// Returns errc::invalid_argument naming the first option that cannot be used; includes the rules
  /// of where to listen. Reads `secret_file` and the files of `tls`.
  caf::error validate() const;

  /// Returns the secret itself: `secret`, else the content of `secret_file`, else "".
  /// Errors: errc::invalid_argument, the file cannot be read, is empty, or longer than 64 KiB.
  caf::expected<std::string> load_secret() const;

  /// Returns the second secret in the same way; "" for none.
  caf::expected<std::string> load_secret_also() const;

  /// Reads the files of `tls` and checks them; null where none is set.
  /// Errors: errc::invalid_argument, naming option, file and reason.
  caf::expected<std::shared_ptr<const tls_context>> load_tls() const;

  /// Returns where to listen: `listen`, with `port` where it names none.
  /// Errors: errc::invalid_argument.
  caf::expected<socket_address> listen_address() const;

  /// Returns the address to tell the others: `advertise`, with the port of `listened` where it
  /// names none, else `listened`, where this node really listens. Errors: errc::invalid_argument.
  caf::expected<socket_address> advertised_address(const socket_address& listened) const;

  /// Returns the name to look up in DNS; empty for none.
  std::string discovery_name() const;

private:
  caf::error check_times() const;
};

} // namespace fly::cluster
