#include "fly/repo/sql_error.hpp"

#include <cstdlib>
#include <cxxabi.h>
#include <memory>
#include <string_view>
#include <typeinfo>
#include <utility>

#include <pqxx/except>

#include "fly/actors/error.hpp"
#include "fly/actors/must.hpp"
#include "fly/actors/what_of.hpp"
#include "fly/repo/commit_hold.hpp"
#include "fly/repo/lease.hpp"
#include "fly/rpc/returned.hpp"
#include "fly/rpc/server.hpp"

namespace fly::repo {

namespace {

error_details details_of(const server_error& what) {
  error_details result;
  auto add = [&](const char* name, const std::string& value) {
    if (!value.empty())
      result.emplace(name, value);
  };
  add("sqlstate", what.sqlstate);
  add("detail", what.detail);
  add("hint", what.hint);
  add("constraint", what.constraint);
  add("schema", what.schema);
  add("table", what.table);
  add("column", what.column);
  add("data_type", what.data_type);
  add("context", what.context);
  return result;
}

/// Of a read that tried to write, what to do instead.
std::string text_of(const server_error& what) {
  if (what.sqlstate != "25006")
    return what.message;
  return what.message + "; a read on the local database cannot write: insert, update, delete_, "
                        "execute and write<> do, on the primary";
}

/// By its severity where that is known: an ERROR of class 08 is of a statement with too few
/// parameters (08P01) or of a foreign server (08001), and the session goes on.
bool ends_session(const server_error& what) {
  if (!what.severity.empty())
    return what.severity == "FATAL" || what.severity == "PANIC";
  return what.sqlstate.starts_with("08") || what.sqlstate.starts_with("57P0") ||
         what.sqlstate == "53300";
}

/// What libpqxx throws because of the server has the server's message in its text.
bool is_of(const std::exception& thrown, const std::optional<server_error>& said) {
  return said && !said->message.empty() &&
         actors::what_of(thrown).find(said->message) != std::string_view::npos;
}

caf::error of_pqxx(const std::exception& thrown, const server_report& report, bool may_write) {
  auto turn = may_write ? to_write_error : to_error;
  // After an error that was swallowed every statement fails with 25P02: the first one is the news.
  if (is_of(thrown, report.last))
    return turn(report.cause ? *report.cause : *report.last);
  if (dynamic_cast<const pqxx::broken_connection*>(&thrown) != nullptr) {
    if (report.last && ends_session(*report.last))
      return to_error(*report.last);
    return make_error(errc::database_unavailable,
                      std::string{"the connection to the database broke: "} +
                          actors::what_of(thrown));
  }
  if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&thrown);
      sql && !sql->sqlstate().empty())
    return turn({.sqlstate = sql->sqlstate(), .message = actors::what_of(thrown)});
  return make_error(errc::function_failed, type_name(thrown) + ": " + actors::what_of(thrown),
                    {{"exception", type_name(thrown)}});
}

} // namespace

caf::error to_error(const server_error& what) {
  auto code = ends_session(what) ? errc::database_unavailable : errc::sql_failed;
  return make_error(code, text_of(what), details_of(what));
}

caf::error to_write_error(const server_error& what) {
  if (what.sqlstate == "25006")
    return make_error(errc::not_primary, what.message, details_of(what));
  if (says_held(what))
    return held_error();
  if (what.sqlstate == epoch_is_over)
    return make_error(errc::not_leader,
                      "deposed while the write ran, nothing of it remains: " + what.message,
                      details_of(what));
  return to_error(what);
}

caf::error not_started(const caf::error& reason) {
  auto details = fly::details_of(reason);
  details.emplace(rpc::not_started_detail, "1");
  return make_error(errc::database_unavailable, fly::text_of(reason), std::move(details));
}

bool was_promoted(const std::optional<server_error>& said) {
  return said && said->sqlstate == "55000";
}

bool was_promoted(const caf::error& reason) {
  auto details = fly::details_of(reason);
  auto found = details.find("sqlstate");
  return reason == errc::sql_failed && found != details.end() && found->second == "55000";
}

caf::error error_of_exception(std::exception_ptr what, const server_report& report,
                              bool may_write) {
  try {
    std::rethrow_exception(std::move(what));
  } catch (const failure& thrown) {
    return rpc::as_rolled_back(thrown.reason());
  } catch (const caf::error& thrown) { // as if it had been returned
    return thrown ? rpc::as_rolled_back(thrown)
                  : make_error(errc::function_failed, "the function threw an empty error");
  } catch (const std::exception& thrown) {
    return of_pqxx(thrown, report, may_write);
  } catch (...) {
    return make_error(errc::function_failed, "the function threw what is no std::exception",
                      {{"exception", "unknown"}});
  }
}

std::string type_name(const std::exception& what) {
  int status = 0;
  std::unique_ptr<char, decltype(&std::free)> name{
      abi::__cxa_demangle(typeid(what).name(), nullptr, nullptr, &status), &std::free};
  return name ? name.get() : typeid(what).name();
}

} // namespace fly::repo
