#include "fly/rpc/returned.hpp"

#include <utility>

#include "fly/actors/error.hpp"
#include "fly/rpc/registry.hpp"
#include "fly/rpc/server.hpp"

namespace fly::rpc {

namespace {

caf::error marked(const caf::error& reason) {
  auto details = details_of(reason);
  details.erase(not_served_detail);
  details.erase(not_started_detail);
  details.emplace(returned_detail, "1");
  return make_error(code_of(reason), text_of(reason), std::move(details));
}

bool is_ours(const caf::error& reason) {
  return reason.category() == make_error(errc::timeout).category();
}

} // namespace

caf::error as_returned(const caf::error& reason) {
  return is_ours(reason) && effect_of(reason) != effect::ran ? marked(reason) : reason;
}

caf::error as_rolled_back(const caf::error& reason) {
  if (!is_ours(reason))
    return reason;
  auto details = details_of(reason);
  bool of_a_call = details.contains(not_served_detail) || details.contains(not_started_detail) ||
                   reason == errc::not_primary || reason == errc::shutting_down;
  return of_a_call || effect_of(reason) == effect::unknown ? marked(reason) : reason;
}

} // namespace fly::rpc
