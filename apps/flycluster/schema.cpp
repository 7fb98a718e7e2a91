#include "apps/flycluster/schema.hpp"

#include <iostream>

#include <nlohmann/json.hpp>

#include "apps/flycluster/commands.hpp"
#include "fly/actors/error.hpp"
#include "fly/repo/database_url.hpp"
#include "fly/repo/schema.hpp"
#include "fly/repo/server_identity.hpp"

namespace fly::apps {

namespace {

using clock = std::chrono::steady_clock;

/// What there was, and what there is.
struct versions {
  std::uint32_t before = 0;
  std::uint32_t now = 0;
};

caf::expected<repo::pq_link> open_primary(const schema_request& asked, clock::time_point deadline) {
  if (auto reason = asked.repo.validate())
    return reason;
  // Where Fly's rules would choose the nearest server, the primary's own is wanted.
  const auto& region = asked.cluster.primary_region;
  auto url = repo::database_url_for(asked.repo.database_url, region, region);
  if (!url)
    return std::move(url.error());
  auto link = repo::pq_link::open({.url = *url, .application_name = "flycluster"}, deadline);
  if (!link)
    return link;
  auto server = repo::identify(*link, deadline);
  if (!server)
    return std::move(server.error());
  if (!server->writable())
    return make_error(errc::not_primary, repo::redact_database_url(*url) +
                                             " is a replica, or read-only: ask the primary");
  return link;
}

caf::expected<versions> bring_up_to_date(const schema_request& asked) {
  auto deadline = clock::now() + asked.timeout;
  auto link = open_primary(asked, deadline);
  if (!link)
    return std::move(link.error());
  auto before = repo::read_schema_version(*link, deadline);
  if (!before)
    return std::move(before.error());
  if (auto reason = repo::ensure_schema(*link, deadline))
    return reason;
  for (const auto& role : asked.grants)
    if (auto reason = repo::grant_schema(*link, role, deadline))
      return reason;
  auto now = repo::read_schema_version(*link, deadline);
  if (!now)
    return std::move(now.error());
  return versions{*before, *now};
}

std::string text_of(const versions& found) {
  auto now = std::to_string(found.now);
  if (found.before == found.now)
    return "fly's own tables are of version " + now + ", as they were";
  if (found.before == 0)
    return "fly's own tables are made, version " + now;
  return "fly's own tables are of version " + now + " now; they were of " +
         std::to_string(found.before);
}

} // namespace

int run_schema(const schema_request& asked) {
  if (asked.print) {
    std::cout << repo::schema_script();
    return exit_done;
  }
  auto found = bring_up_to_date(asked);
  if (!found)
    return print_error(asked.json, found.error());
  if (asked.json)
    std::cout << nlohmann::json{{"before", found->before},
                                {"version", found->now},
                                {"granted", asked.grants}}
                     .dump(2)
              << '\n';
  else
    std::cout << text_of(*found) << '\n';
  return exit_done;
}

} // namespace fly::apps
