#include "fly/rpc/returned.hpp"

#include <utility>

#include "fly/actors/error.hpp"
#include "fly/rpc/registry.hpp"
#include "fly/rpc/server.hpp"

namespace fly::rpc {

caf::error as_returned(const caf::error& reason) {
  bool asks_elsewhere = reason == errc::not_primary || reason == errc::shutting_down;
  auto details = details_of(reason);
  auto said = details.erase(not_served_detail) + details.erase(not_started_detail);
  if (said == 0 && !asks_elsewhere)
    return reason;
  details.emplace(returned_detail, "1");
  return make_error(code_of(reason), text_of(reason), std::move(details));
}

} // namespace fly::rpc
