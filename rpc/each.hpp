#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <caf/expected.hpp>
#include <caf/fwd.hpp>

#include "fly/cluster/member.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::rpc {

/// What one of several members answered.
template <class R>
struct member_result {
  cluster::member who;
  /// Its result, or why there is none; errors as those of `rpc_member`.
  caf::expected<R> outcome;
};

/// Calls every member of a region, or of the cluster where there is no region, this node included
/// where it is one. Those that are members now and not gone; each is asked at once, and none twice.
caf::expected<std::vector<member_result<bytes>>>
each_raw(const bound_endpoint& rpc, std::optional<std::string_view> region, std::string_view name,
         const signature& wanted, caf::expected<bytes> arguments);

/// The same in the name of `self`.
actors::pending<std::vector<member_result<bytes>>>
each_raw(caf::scheduled_actor* self, const bound_endpoint& rpc,
         std::optional<std::string_view> region, std::string_view name, const signature& wanted,
         caf::expected<bytes> arguments);

namespace detail {

template <class R>
std::vector<member_result<R>> decode_each(std::vector<member_result<bytes>>& all) {
  std::vector<member_result<R>> result;
  result.reserve(all.size());
  for (auto& it : all) {
    if (it.outcome)
      result.push_back({std::move(it.who), decode_result<R>(*it.outcome)});
    else
      result.push_back({std::move(it.who), it.outcome.error()});
  }
  return result;
}

} // namespace detail

/// The answers that an actor awaits: call `.then` in the same handler. Only inside the actor.
template <class R>
class [[nodiscard]] each_reply {
public:
  explicit each_reply(actors::pending<std::vector<member_result<bytes>>> raw)
      : raw_(std::move(raw)) {}

  /// Runs `on_all(std::vector<member_result<R>>&)` inside the actor once all have answered, at the
  /// deadline at the latest, or `on_error(caf::error&)` where nobody was asked.
  template <class OnAll, class OnError>
  void then(OnAll on_all, OnError on_error) && {
    std::move(raw_).then(
        [on_all = std::move(on_all)](std::vector<member_result<bytes>>& all) mutable {
          auto decoded = detail::decode_each<R>(all);
          on_all(decoded);
        },
        std::move(on_error));
  }

private:
  actors::pending<std::vector<member_result<bytes>>> raw_;
};

namespace detail {

template <class R, class... Args>
caf::expected<std::vector<member_result<R>>>
ask_each(const bound_endpoint& rpc, std::optional<std::string_view> region,
         const function<R(Args...)>& f, const std::type_identity_t<Args>&... args) {
  auto all = each_raw(rpc, region, f.name, signature_of<R(Args...)>(), encode(args...));
  if (!all)
    return std::move(all.error());
  return decode_each<R>(*all);
}

template <class R, class... Args>
each_reply<R> ask_each(caf::scheduled_actor* self, const bound_endpoint& rpc,
                       std::optional<std::string_view> region, const function<R(Args...)>& f,
                       const std::type_identity_t<Args>&... args) {
  return each_reply<R>{
      each_raw(self, rpc, region, f.name, signature_of<R(Args...)>(), encode(args...))};
}

} // namespace detail

} // namespace fly::rpc

namespace fly {

/// Runs `f` on every member of `region`, at the same time, and returns what each one answered, in
/// the order of `node::members`. Blocks until all have, for at most `call_options::timeout`: never
/// call from an actor that shares threads. A member that fails is a result among the others. Errors
/// of the whole, nothing ran: errc::no_node_in_region, blocking_refused, and those of encoding.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> caf::expected<std::vector<rpc::member_result<R>>>
rpc_each_in(const rpc::bound_endpoint& rpc, std::string_view region,
            const rpc::function<R(Args...)>& f, Given&&... args) {
  return rpc::detail::ask_each<R, Args...>(rpc, region, f, std::forward<Given>(args)...);
}

/// The same in the name of the actor `self`: `.then(on_all, on_error)`.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> rpc::each_reply<R>
rpc_each_in(caf::scheduled_actor* self, const rpc::bound_endpoint& rpc, std::string_view region,
            const rpc::function<R(Args...)>& f, Given&&... args) {
  return rpc::detail::ask_each<R, Args...>(self, rpc, region, f, std::forward<Given>(args)...);
}

/// Runs `f` on every member of the cluster; otherwise as `rpc_each_in`.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> caf::expected<std::vector<rpc::member_result<R>>>
rpc_each(const rpc::bound_endpoint& rpc, const rpc::function<R(Args...)>& f, Given&&... args) {
  return rpc::detail::ask_each<R, Args...>(rpc, std::nullopt, f, std::forward<Given>(args)...);
}

/// The same in the name of the actor `self`: `.then(on_all, on_error)`.
template <class R, class... Args, class... Given>
requires rpc::callable_with<R(Args...), Given...> rpc::each_reply<R>
rpc_each(caf::scheduled_actor* self, const rpc::bound_endpoint& rpc,
         const rpc::function<R(Args...)>& f, Given&&... args) {
  return rpc::detail::ask_each<R, Args...>(self, rpc, std::nullopt, f,
                                           std::forward<Given>(args)...);
}

} // namespace fly
