#include "fly/repo/transaction_runner.hpp"

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/repo/sql_error.hpp"
#include "fly/repo/transaction.hpp"
#include "fly/rpc/server.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;

namespace {

/// Adds the time of its life to a part, where anybody wants to know.
class timed {
public:
  timed(rpc::call_parts* parts, std::string_view name) : parts_(parts), name_(name) {
    if (parts_ != nullptr)
      begun_ = clock::now();
  }
  ~timed() {
    if (parts_ != nullptr)
      parts_->add(name_, rpc::between(begun_, clock::now()));
  }
  timed(const timed&) = delete;
  timed& operator=(const timed&) = delete;

private:
  rpc::call_parts* parts_;
  std::string_view name_;
  clock::time_point begun_{};
};

} // namespace

struct transaction_runner::begun {
  explicit begun(connection_pool::lease given) : lease(std::move(given)) {}

  connection_pool::lease lease; // before the transaction on it
  clock::time_point at = clock::now();
  std::optional<transaction> tx;
};

caf::expected<std::unique_ptr<transaction_runner::begun>>
transaction_runner::begin(time_point deadline, bool read_only, rpc::call_parts* parts) {
  // Who reads waits for it here; the caller of a write has its answer, and a commit is worth a
  // wait.
  auto grace = read_only ? std::chrono::milliseconds{25} : std::chrono::milliseconds{2000};
  for (;;) {
    auto lease = [&] {
      timed queue{parts, rpc::queue_part};
      return pool_.take(deadline, grace);
    }();
    if (!lease)
      return std::move(lease.error());
    auto result = std::make_unique<begun>(std::move(*lease));
    auto& on = *result->lease;
    try {
      result->tx.emplace(on, transaction_options{.deadline = deadline, .read_only = read_only});
      return result;
    } catch (...) {
      // One that broke while it was idle says nothing of the database; a new one does.
      if (result->lease.reused() && !on.connected())
        continue;
      return error_of_exception(std::current_exception(), on.report(), !read_only);
    }
  }
}

caf::expected<write_outcome>
transaction_runner::run_write(time_point deadline, const write_body& body, rpc::call_parts* parts) {
  auto on = begin(deadline, false, parts);
  if (!on && on.error() == errc::database_unavailable) // another member may do, or this one soon
    return make_error(errc::database_unavailable, text_of(on.error()),
                      {{rpc::not_started_detail, "1"}});
  if (!on)
    return std::move(on.error());
  auto outcome = run_write_on(**on, body, parts);
  if (!outcome && outcome.error() == errc::not_primary) {
    // Whatever else was opened before the database became read-only is of no use either.
    roles_->refused();
    (*on)->lease.spoil();
    pool_.drop_idle();
  }
  return outcome;
}

caf::expected<write_outcome> transaction_runner::run_write_on(begun& on, const write_body& body,
                                                              rpc::call_parts* parts) {
  write_outcome result;
  try {
    auto value = body(*on.tx);
    if (!value)
      return std::move(value.error());
    result.value = std::move(*value);
  } catch (...) {
    return error_of_exception(std::current_exception(), on.lease->report(), true);
  }
  if (result.value.size() > result_bytes_max_)
    return make_error(errc::malformed_result,
                      "the result has " + std::to_string(result.value.size()) +
                          " bytes, more than " + std::to_string(result_bytes_max_) +
                          "; nothing is committed");
  auto where = [&] {
    timed commit{parts, commit_part};
    return on.tx->finish();
  }();
  if (!where)
    return std::move(where.error());
  result.where = *where;
  result.took = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - on.at);
  return result;
}

caf::error transaction_runner::run_read(time_point deadline, const read_body& body) {
  auto on = begin(deadline, true);
  if (!on)
    return std::move(on.error());
  try {
    if (auto reason = body(*(*on)->tx))
      return reason;
  } catch (...) {
    return error_of_exception(std::current_exception(), (*on)->lease->report(), false);
  }
  return (*on)->tx->finish_reading();
}

} // namespace fly::repo
