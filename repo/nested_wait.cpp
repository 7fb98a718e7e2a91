#include "fly/repo/nested_wait.hpp"

#include "fly/actors/error.hpp"
#include "fly/rpc/current_call.hpp"

namespace fly::repo {

caf::expected<connection_pool::lease>
take_within(connection_pool& pool, connection_pool::time_point deadline,
            std::chrono::milliseconds grace, std::optional<std::chrono::milliseconds> answer_max) {
  if (rpc::current_holding() != &pool)
    return pool.take(deadline, grace, answer_max);
  auto wait_until = deadline - (deadline - std::chrono::steady_clock::now()) / 10;
  auto lease = pool.take(deadline, grace, answer_max, wait_until);
  if (lease || lease.error() != errc::overloaded)
    return lease;
  return make_error(errc::overloaded,
                    text_of(lease.error()) +
                        "; this one waited within a transaction, which holds one of them: a "
                        "function that calls for another transaction takes one more each time",
                    details_of(lease.error()));
}

} // namespace fly::repo
