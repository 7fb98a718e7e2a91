#include "fly/rpc/interceptor.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/tls_names.hpp"

namespace fly::rpc {

namespace {

/// The interceptors from one on, and behind them the function.
struct rest {
  const std::vector<server_interceptor>& all;
  const incoming_call& call;
  const raw_handler& handler;

  caf::expected<bytes> run(std::size_t from) const {
    if (from == all.size())
      return handler(call.context, call.arguments);
    return all[from](call, [this, from] { return run(from + 1); });
  }
};

bool same_name(std::string_view a, std::string_view b) {
  auto small = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return small(x) == small(y); });
}

std::string text_of(const caller_rule& rule) {
  std::string result;
  auto add = [&](const char* what, const std::string& value) {
    if (!value.empty())
      result += (result.empty() ? "" : " and ") + std::string{what} + " " + value;
  };
  add("region", rule.region);
  add("machine", rule.machine);
  add("certificate", rule.certificate);
  return result.empty() ? "everybody" : result;
}

} // namespace

raw_handler intercepted(std::string name, std::vector<server_interceptor> all,
                        raw_handler handler) {
  return [name = std::move(name), all = std::move(all), handler = std::move(handler)](
             const call_context& context, std::span<const char> arguments) {
    incoming_call call{name, context, arguments};
    return rest{all, call, handler}.run(0);
  };
}

bool fits(const caller_rule& rule, const call_context& context) {
  bool named = rule.region.empty() || rule.region == context.caller.region;
  named = named && (rule.machine.empty() || rule.machine == context.caller.id);
  if (!named || rule.certificate.empty())
    return named;
  if (context.certificate == nullptr)
    return false;
  const auto& names = context.certificate->dns;
  return std::any_of(names.begin(), names.end(),
                     [&](const auto& each) { return same_name(each, rule.certificate); });
}

caf::error check_allowed(const std::vector<caller_rule>& rules, const call_context& context) {
  bool may = context.own || rules.empty() ||
             std::any_of(rules.begin(), rules.end(),
                         [&](const auto& rule) { return fits(rule, context); });
  if (may)
    return {};
  std::string whom;
  for (const auto& rule : rules)
    whom += (whom.empty() ? "" : ", or ") + text_of(rule);
  return make_error(errc::not_allowed, context.caller.id + " in " + context.caller.region +
                                           " may not call this: it is for " + whom);
}

raw_handler allowed(std::vector<caller_rule> rules, raw_handler handler) {
  return [rules = std::move(rules), handler = std::move(handler)](
             const call_context& context, std::span<const char> arguments) -> caf::expected<bytes> {
    if (auto refused = check_allowed(rules, context))
      return refused;
    return handler(context, arguments);
  };
}

} // namespace fly::rpc
