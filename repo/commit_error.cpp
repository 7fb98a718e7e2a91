#include "fly/repo/commit_error.hpp"

#include <algorithm>
#include <utility>

#include "fly/repo/commit_hold.hpp"
#include "fly/repo/sql_error.hpp"

namespace fly::repo {

bool has_tag(const server_report& report, const char* tag) {
  return std::find(report.tags.begin(), report.tags.end(), tag) != report.tags.end();
}

caf::error unknown_commit(const std::string& why, error_details details) {
  return make_error(errc::outcome_unknown, "the outcome of the commit is not known: " + why,
                    std::move(details));
}

caf::error error_of_commit(const server_report& report, bool at_guard) {
  bool committed = has_tag(report, "COMMIT");
  if (!report.last)
    return unknown_commit("the connection broke",
                          committed ? error_details{{"committed", "yes"}} : error_details{});
  auto details = details_of(to_error(*report.last));
  if (committed) {
    details.emplace("committed", "yes");
    return unknown_commit("after it: " + report.last->message, std::move(details));
  }
  // The server answered the guard or the COMMIT with an error and went on: it has rolled back. A
  // session that ends meanwhile (FATAL) may have committed before.
  if (report.last->severity != "ERROR")
    return unknown_commit(report.last->message, std::move(details));
  const auto& sqlstate = report.last->sqlstate;
  if (sqlstate == "42704" && !says_held(*report.last) &&
      report.last->message.find("\"fly.") != std::string::npos)
    return make_error(errc::not_primary,
                      "the server that was reached is not the primary: " + report.last->message,
                      std::move(details));
  if (sqlstate == "55000" && at_guard)
    return make_error(errc::not_primary, report.last->message, std::move(details));
  return to_write_error(*report.last);
}

} // namespace fly::repo
