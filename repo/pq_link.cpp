#include "fly/repo/pq_link.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <regex>
#include <utility>

#include <libpq-fe.h>
#include <poll.h>

#include "fly/actors/error.hpp"
#include "fly/repo/sql_error.hpp"

namespace fly::repo {

namespace {

using clock = std::chrono::steady_clock;

std::string text_or_empty(const char* text) {
  return text == nullptr ? "" : text;
}

void drop_notice(void*, const char*) {}

caf::error unavailable(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
    text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return make_error(errc::database_unavailable, std::move(text));
}

/// Whether pgbouncer says that it has as many clients as it may have: of all, a database or a user.
bool is_full_pooler(const std::string& text) {
  constexpr std::array bounds{"(max_client_conn)", "(max_db_client_connections)",
                              "(max_user_client_connections)"};
  return std::any_of(bounds.begin(), bounds.end(),
                     [&](const char* bound) { return text.find(bound) != std::string::npos; });
}

/// Why a server let nobody in. libpq gives the SQLSTATE of that in its text alone, where it is
/// asked to be verbose, together with a line about the server's source.
caf::error refused(std::string text) {
  static const std::regex state{R"((:  )([0-9A-Z]{5}): )"};
  static const std::regex place{R"(\n[^\n]*\.c:[0-9]+(?=\n|$))"};
  error_details details;
  if (std::smatch found; std::regex_search(text, found, state))
    details.emplace("sqlstate", found[2].str());
  if (is_full_pooler(text)) // its own 08P01 stands for anything
    details["sqlstate"] = "53300";
  text = std::regex_replace(std::regex_replace(text, place, ""), state, "$1");
  return make_error(errc::database_unavailable, text_of(unavailable(std::move(text))),
                    std::move(details));
}

/// Waits for the socket. Returns false at the deadline.
bool wait_for(int socket, short events, clock::time_point deadline) {
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
    if (left <= 0)
      return false;
    pollfd what{socket, events, 0};
    int ready = ::poll(&what, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready > 0 || (ready < 0 && errno != EINTR))
      return true; // libpq itself says what is wrong with the socket
  }
}

} // namespace

void pq_link::finish::operator()(pg_conn* raw) const {
  if (owned)
    PQfinish(raw);
}

pq_link::pq_link(pg_conn* raw, std::unique_ptr<server_listener> heard)
    : heard_(std::move(heard)), raw_(raw) {}

pq_link::pq_link(pq_link&&) noexcept = default;
pq_link& pq_link::operator=(pq_link&& other) noexcept {
  raw_ = std::move(other.raw_); // closed before what it tells
  heard_ = std::move(other.heard_);
  pooled_ = other.pooled_;
  kept_ = std::move(other.kept_);
  return *this;
}
pq_link::~pq_link() = default;

void pq_link::disown() noexcept {
  raw_.get_deleter().owned = false;
}

caf::expected<pq_link> pq_link::open(const link_options& options, time_point deadline) {
  const char* keys[] = {"dbname", "fallback_application_name",
                        options.replication ? "replication" : nullptr, nullptr};
  const char* values[] = {options.url.c_str(), options.application_name.c_str(), "database",
                          nullptr};
  pq_link link{PQconnectStartParams(keys, values, 1), std::make_unique<server_listener>()};
  link.pooled_ = options.pooled;
  if (link.raw() == nullptr)
    return unavailable("no memory for a connection");
  PQsetNoticeProcessor(link.raw(), drop_notice, nullptr);
  auto verbosity = PQsetErrorVerbosity(link.raw(), PQERRORS_VERBOSE);
  auto state =
      PQstatus(link.raw()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
    short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_for(PQsocket(link.raw()), events, deadline))
      return unavailable("no connection in time to " + text_or_empty(PQhost(link.raw())) +
                         " port " + text_or_empty(PQport(link.raw())));
    state = PQconnectPoll(link.raw());
  }
  if (state == PGRES_POLLING_FAILED)
    return refused(PQerrorMessage(link.raw()));
  PQsetErrorVerbosity(link.raw(), verbosity);
  link.heard_->listen(link.raw());
  if (options.read_only) {
    auto set = link.query("SET default_transaction_read_only = on", deadline);
    if (!set)
      return std::move(set.error());
  }
  return link;
}

caf::expected<link_rows> pq_link::query(const std::string& sql, time_point deadline) {
  if (auto reason = start(sql))
    return reason;
  if (auto rows = answer(deadline))
    return std::move(*rows);
  return unavailable("no answer in time");
}

caf::error pq_link::start(const std::string& sql) {
  report().clear();
  if (PQsendQuery(raw(), sql.c_str()) != 1)
    return unavailable(PQerrorMessage(raw()));
  return {};
}

std::optional<caf::expected<link_rows>> pq_link::answer(time_point deadline) {
  result_handle last;
  for (;;) {
    while (PQisBusy(raw()) == 1) {
      if (!wait_for(PQsocket(raw()), POLLIN, deadline))
        return std::nullopt;
      if (PQconsumeInput(raw()) != 1)
        return unavailable(PQerrorMessage(raw()));
    }
    result_handle next{PQgetResult(raw())};
    if (!next)
      break;
    bool failed = last && PQresultStatus(last.get()) == PGRES_FATAL_ERROR;
    if (!failed)
      last = std::move(next);
  }
  if (report().last)
    return to_error(*report().last);
  if (!connected() || !last)
    return unavailable(PQerrorMessage(raw()));
  return to_rows(*last);
}

/// Sends the statements of a pipeline; those before them that the session does not have yet, to be
/// kept.
bool pq_link::send(std::span<const link_statement> statements) {
  steps_.clear();
  std::set<std::string_view> asked; // to be kept, by this pipeline
  for (std::size_t place = 0; place < statements.size(); ++place) {
    const auto& each = statements[place];
    std::vector<const char*> values;
    for (const auto& it : each.parameters)
      values.push_back(it ? it->c_str() : nullptr);
    auto count = static_cast<int>(values.size());
    bool keeps = !pooled_ && !each.name.empty();
    if (keeps && !kept_.contains(each.name) && asked.insert(each.name).second) {
      if (PQsendPrepare(raw(), each.name.c_str(), each.sql.c_str(), count, nullptr) != 1)
        return false;
      steps_.push_back({place, each.name});
    }
    bool sent = keeps ? PQsendQueryPrepared(raw(), each.name.c_str(), count, values.data(), nullptr,
                                            nullptr, 0) == 1
                      : PQsendQueryParams(raw(), each.sql.c_str(), count, nullptr, values.data(),
                                          nullptr, nullptr, 0) == 1;
    if (!sent)
      return false;
    steps_.push_back({place});
  }
  return PQpipelineSync(raw()) == 1;
}

/// Waits until libpq has the next result, or the end of those of a statement.
caf::error pq_link::wait_for_result(time_point deadline) {
  while (PQisBusy(raw()) == 1) {
    if (!wait_for(PQsocket(raw()), POLLIN, deadline))
      return unavailable("no answer in time");
    if (PQconsumeInput(raw()) != 1)
      return unavailable(PQerrorMessage(raw()));
  }
  return {};
}

/// Takes the results of a pipeline, up to its end.
caf::error pq_link::receive(time_point deadline, const result_taker& take) {
  for (std::size_t next = 0;;) {
    if (auto reason = wait_for_result(deadline))
      return reason;
    result_handle result{PQgetResult(raw())};
    if (!connected())
      return unavailable(PQerrorMessage(raw()));
    if (!result)
      continue; // between two statements
    auto status = PQresultStatus(result.get());
    if (status == PGRES_PIPELINE_SYNC)
      return {};
    if (next == steps_.size())
      return unavailable("the server's answers are not those to the questions");
    const auto& each = steps_[next++];
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
      continue;
    if (!each.prepares.empty())
      kept_.insert(each.prepares);
    else
      take(each.place, std::move(result));
  }
}

caf::error pq_link::exchange(std::span<const link_statement> statements, time_point deadline,
                             const result_taker& take) {
  auto reason = begin(statements);
  return reason ? reason : collect(deadline, take);
}

caf::error pq_link::begin(std::span<const link_statement> statements) {
  report().clear();
  if (PQenterPipelineMode(raw()) != 1 || !send(statements))
    return unavailable(PQerrorMessage(raw()));
  return {};
}

bool pq_link::has_answer(time_point deadline) const {
  return wait_for(PQsocket(raw()), POLLIN, deadline);
}

caf::error pq_link::collect(time_point deadline, const result_taker& take) {
  auto reason = receive(deadline, take);
  if (!reason && PQexitPipelineMode(raw()) != 1)
    reason = unavailable(PQerrorMessage(raw()));
  // What the server said, also where it then ended the session.
  return report().last ? to_error(*report().last) : reason;
}

caf::expected<std::vector<link_rows>> pq_link::run(std::span<const link_statement> statements,
                                                   time_point deadline) {
  std::vector<link_rows> result;
  if (auto reason = exchange(statements, deadline, [&](std::size_t, result_handle rows) {
        result.push_back(to_rows(*rows));
      }))
    return reason;
  if (result.size() != statements.size())
    return unavailable("the server's answers are not those to the questions");
  return result;
}

std::string pq_link::quote(std::string_view text) const {
  std::unique_ptr<char, decltype(&PQfreemem)> literal{
      PQescapeLiteral(raw(), text.data(), text.size()), &PQfreemem};
  return literal ? literal.get() : "''";
}

bool pq_link::idle() const {
  if (PQtransactionStatus(raw()) != PQTRANS_IDLE)
    return false;
  pollfd what{PQsocket(raw()), POLLIN, 0};
  // What an idle session says unasked is mostly its last word; it is not worth finding out.
  return ::poll(&what, 1, 0) == 0 && connected();
}

bool pq_link::connected() const {
  return PQstatus(raw()) == CONNECTION_OK;
}

bool pq_link::outside_transaction() const {
  return PQtransactionStatus(raw()) == PQTRANS_IDLE;
}

bool pq_link::in_aborted_transaction() const {
  return PQtransactionStatus(raw()) == PQTRANS_INERROR;
}

bool pq_link::in_transaction() const {
  auto status = PQtransactionStatus(raw());
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

} // namespace fly::repo
