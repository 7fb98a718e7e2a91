#include "fly/repo/server_listener.hpp"

#include <cstring>
#include <string>

#include <libpq-events.h>
#include <libpq-fe.h>

namespace fly::repo {

namespace {

std::string text_or_empty(const char* text) {
  return text == nullptr ? "" : text;
}

std::string field_of(const PGresult* result, int code) {
  return text_or_empty(PQresultErrorField(result, code));
}

server_error read_error(const PGresult* result) {
  auto field = [&](int code) { return field_of(result, code); };
  return {.severity = field(PG_DIAG_SEVERITY_NONLOCALIZED),
          .sqlstate = field(PG_DIAG_SQLSTATE),
          .message = field(PG_DIAG_MESSAGE_PRIMARY),
          .detail = field(PG_DIAG_MESSAGE_DETAIL),
          .hint = field(PG_DIAG_MESSAGE_HINT),
          .schema = field(PG_DIAG_SCHEMA_NAME),
          .table = field(PG_DIAG_TABLE_NAME),
          .column = field(PG_DIAG_COLUMN_NAME),
          .data_type = field(PG_DIAG_DATATYPE_NAME),
          .constraint = field(PG_DIAG_CONSTRAINT_NAME),
          .context = field(PG_DIAG_CONTEXT),
          .routine = field(PG_DIAG_SOURCE_FUNCTION)};
}

bool begins_with_column(const PGresult* result, const char* name) {
  return PQntuples(result) == 1 && PQnfields(result) > 0 &&
         std::strcmp(PQfname(result, 0), name) == 0;
}

int on_event(PGEventId event, void* info, void* listener) {
  if (event == PGEVT_RESULTCREATE)
    static_cast<server_listener*>(listener)->heard(static_cast<PGEventResultCreate*>(info)->result);
  return 1;
}

void on_notice(void* listener, const PGresult* notice) {
  static_cast<server_listener*>(listener)->warned(notice);
}

} // namespace

void server_listener::listen(pg_conn* raw) {
  PQregisterEventProc(raw, on_event, "fly", this);
  next_ = PQsetNoticeReceiver(raw, on_notice, this);
}

void server_listener::warned(const PGresult* notice) {
  report_.fate.warned(field_of(notice, PG_DIAG_SQLSTATE));
  next_(nullptr, notice); // libpq's own, which hands the text on
}

void server_listener::heard(const PGresult* result) {
  auto status = PQresultStatus(result);
  if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) {
    // The same COPY again: another statement came before its data.
    if (!report_.copying.empty())
      report_.copy_left = report_.copying;
    report_.copying = status == PGRES_COPY_IN ? "COPY ... FROM STDIN" : "COPY ... TO STDOUT";
    return;
  }
  report_.copying.clear();
  if (status == PGRES_PIPELINE_SYNC || status == PGRES_PIPELINE_ABORTED)
    return; // of no statement, and of one that did not run
  if (status != PGRES_FATAL_ERROR)
    return succeeded(result);
  report_.last = read_error(result);
  if (report_.last->sqlstate != "25P02")
    report_.cause = report_.last;
  report_.fate.failed();
}

void server_listener::succeeded(const PGresult* result) {
  if (begins_with_column(result, transaction_id_column))
    report_.transaction_id = PQgetvalue(result, 0, 0);
  auto tag = text_or_empty(PQcmdStatus(const_cast<PGresult*>(result)));
  if (tag.empty())
    return; // a statement is kept from now on, or was none
  if (!begins_with_column(result, unlock_column))
    report_.fate.succeeded(tag);
  // Only the end of a transaction matters, and a long one must not fill the memory.
  constexpr std::size_t tags_max = 32;
  if (report_.tags.size() == tags_max)
    report_.tags.erase(report_.tags.begin());
  report_.tags.push_back(std::move(tag));
}

} // namespace fly::repo
