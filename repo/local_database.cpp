#include "fly/repo/local_database.hpp"

#include "fly/actors/error.hpp"
#include "fly/repo/connection_pool.hpp"
#include "fly/repo/database_url.hpp"
#include "fly/repo/role_board.hpp"
#include "fly/repo/transaction.hpp"
#include "fly/repo/transaction_runner.hpp"
#include "fly/rpc/current_call.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;

struct local_database::parts {
  parts(std::string url, std::chrono::milliseconds given)
      : unusable(check(url, given)), timeout(unusable ? std::chrono::milliseconds{1} : given),
        pool({.link = {.url = std::move(url), .application_name = "fly local"},
              .connect_timeout = timeout}),
        runner(pool, std::make_shared<role_board>(timeout, [](const role_report&) {}),
               result_bytes_max, [](const server_identity&) { return true; }) {}

  static caf::error check(const std::string& url, std::chrono::milliseconds given) {
    if (auto wrong = rpc::check_timeout(given))
      return wrong;
    return url.empty() ? make_error(errc::invalid_argument, "no database: the URL is empty")
                       : check_database_url(url);
  }

  static constexpr std::size_t result_bytes_max = 1; // results stay in this process

  const caf::error unusable;
  const std::chrono::milliseconds timeout;
  connection_pool pool;
  transaction_runner runner;
};

local_database::local_database(std::string url, std::chrono::milliseconds timeout)
    : parts_(std::make_unique<parts>(std::move(url), timeout)) {}

local_database::~local_database() = default;

caf::error local_database::run_raw(const body& f, bool writes) const {
  if (parts_->unusable)
    return parts_->unusable;
  auto deadline = clock::now() + parts_->timeout;
  if (!writes)
    return parts_->runner.run_read(deadline, f);
  auto outcome =
      parts_->runner.run_write(deadline, [&](transaction& tx) -> caf::expected<rpc::bytes> {
        if (auto reason = f(tx))
          return reason;
        return rpc::bytes{};
      });
  return outcome ? caf::error{} : std::move(outcome.error());
}

} // namespace fly::repo
