#include "apps/flycluster/cert.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "apps/flycluster/commands.hpp"
#include "apps/flycluster/words.hpp"
#include "fly/actors/error.hpp"
#include "fly/cluster/certificates.hpp"
#include "fly/cluster/options.hpp"

namespace fly::apps {

namespace {

namespace po = boost::program_options;

constexpr const char* usage =
    R"(flycluster cert makes certificates for people without an authority of their own.

  flycluster cert init [--app NAME] [--dir DIR]
      makes the authority of a cluster: DIR/ca.pem, which every node gets, and DIR/ca.key, which
      makes members: keep it where no node runs
  flycluster cert issue --name FILE [--app NAME] [--dir DIR] [--region R]... [--machine ID]...
      makes a node's key and certificate, DIR/FILE.pem and DIR/FILE.key. With --region or --machine
      its holder can be a member in these regions, with these machine ids, alone; without it
      anywhere. The command line (flycluster status ...) needs one without

A node takes them by FLY_TLS_CERT, FLY_TLS_KEY and FLY_TLS_CA (--tls-cert, --tls-key, --tls-ca).
Nothing is ever written over. Exit codes: 0 done, 1 it failed, 2 a mistake in the command.

)";

struct cert_request {
  std::string action;
  std::string app = cluster::options::from_env().app;
  std::string folder = ".";
  std::string name;
  std::vector<std::string> regions;
  std::vector<std::string> machines;
  std::int64_t days = 0;
  bool json = false;
};

int mistake(const std::string& text) {
  return mistake_in("cert", text);
}

caf::error bad(const std::string& file) {
  return make_error(errc::invalid_argument, "'" + file + "': " + std::strerror(errno));
}

caf::expected<std::string> read(const std::filesystem::path& file) {
  errno = 0;
  std::ifstream in{file};
  std::string content{std::istreambuf_iterator<char>{in}, {}};
  if (!in || content.empty())
    return make_error(errc::invalid_argument,
                      "'" + file.string() + "': " + (errno != 0 ? std::strerror(errno) : "empty") +
                          " (flycluster cert init makes it)");
  return content;
}

/// Writes a file that must not be there yet.
caf::error write_new(const std::filesystem::path& file, const std::string& content, mode_t mode) {
  int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (descriptor < 0)
    return bad(file.string());
  auto written = ::write(descriptor, content.data(), content.size());
  auto complete = written == static_cast<ssize_t>(content.size()) && ::fsync(descriptor) == 0;
  if (::close(descriptor) != 0 || !complete)
    return bad(file.string());
  return {};
}

/// Writes both files, the key for its owner's eyes only; neither where one is there already.
caf::error write_pair(const std::filesystem::path& stem, const cluster::certified_key& made) {
  auto certificate = stem.string() + ".pem";
  auto key = stem.string() + ".key";
  std::error_code unknown; // writing tells
  if (std::filesystem::exists(certificate, unknown)) {
    errno = EEXIST;
    return bad(certificate);
  }
  if (auto problem = write_new(key, made.key, 0600))
    return problem;
  return write_new(certificate, made.certificate, 0644);
}

caf::expected<cluster::certified_key> make(const cert_request& asked) {
  cluster::validity when;
  if (asked.action == "init") {
    when.lifetime = std::chrono::hours{24 * (asked.days != 0 ? asked.days : 3650)};
    return cluster::make_authority(asked.app, when);
  }
  when.lifetime = std::chrono::hours{24 * (asked.days != 0 ? asked.days : 365)};
  std::filesystem::path folder{asked.folder};
  auto certificate = read(folder / "ca.pem");
  if (!certificate)
    return std::move(certificate.error());
  auto key = read(folder / "ca.key");
  if (!key)
    return std::move(key.error());
  return cluster::issue_certificate(
      {*certificate, *key},
      {.app = asked.app, .regions = asked.regions, .machines = asked.machines, .when = when});
}

int run(const cert_request& asked) {
  auto made = make(asked);
  if (!made)
    return print_error(asked.json, made.error());
  std::error_code ignored; // write_pair tells
  std::filesystem::create_directories(asked.folder, ignored);
  auto stem = std::filesystem::path{asked.folder} / (asked.action == "init" ? "ca" : asked.name);
  if (auto problem = write_pair(stem, *made))
    return print_error(asked.json, problem);
  auto certificate = stem.string() + ".pem";
  auto key = stem.string() + ".key";
  if (asked.json)
    std::cout << nlohmann::json{{"certificate", certificate}, {"key", key}}.dump(2) << '\n';
  else
    std::cout << "made " << certificate << " and " << key << '\n';
  return exit_done;
}

po::options_description describe(cert_request& asked) {
  po::options_description flags{"Options"};
  flags.add_options()("help,h", "this text") //
      ("app", po::value(&asked.app)->value_name("NAME"),
       "name of the cluster, as the nodes have it (FLY_APP_NAME)") //
      ("dir", po::value(&asked.folder)->value_name("DIR")->default_value(asked.folder),
       "folder of the files") //
      ("name", po::value(&asked.name)->value_name("FILE"),
       "issue: what the files are called") //
      ("region", po::value(&asked.regions)->value_name("REGION"),
       "issue: a region that the node may be in, repeatable") //
      ("machine", po::value(&asked.machines)->value_name("ID"),
       "issue: a machine id that the node may have, repeatable") //
      ("days", po::value(&asked.days)->value_name("DAYS"),
       "how long it is valid, 1 to 7300 (init: 3650, issue: 365)") //
      ("json", po::bool_switch(&asked.json), "print JSON");
  return flags;
}

std::string problem_of(const cert_request& asked) {
  bool issues = asked.action == "issue";
  if (asked.action != "init" && !issues)
    return asked.action.empty() ? "one of init, issue is needed"
                                : "'" + asked.action + "' is not one of init, issue";
  if (asked.app.empty())
    return "--app NAME (or FLY_APP_NAME) is needed: certificates name the cluster";
  if (issues &&
      (asked.name.empty() || asked.name == "ca" || asked.name.find('/') != std::string::npos))
    return "--name FILE is needed, not 'ca', without '/'";
  if (!issues && (!asked.regions.empty() || !asked.machines.empty() || !asked.name.empty()))
    return "--name, --region and --machine are for issue";
  if (asked.days < 0 || asked.days > 7300)
    return "--days: " + std::to_string(asked.days) + " is not between 1 and 7300";
  return {};
}

} // namespace

int run_cert(const std::vector<std::string>& words) {
  cert_request asked;
  auto flags = describe(asked);
  auto all = read_words(words, flags);
  const auto& actions = all.words;
  if (!all.problem.empty())
    return mistake(all.problem);
  if (all.has("help")) {
    std::cout << usage << flags;
    return exit_done;
  }
  if (all.has("days") && asked.days == 0)
    return mistake("--days: 0 is not between 1 and 7300");
  if (actions.size() > 1)
    return mistake("'" + actions[1] + "' was not expected");
  asked.action = actions.empty() ? std::string{} : actions[0];
  if (auto problem = problem_of(asked); !problem.empty())
    return mistake(problem);
  return run(asked);
}

} // namespace fly::apps
