#include "fly/rpc/interceptor.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/actors/what_of.hpp"
#include "fly/cluster/tls_names.hpp"
#include "fly/rpc/returned.hpp"

namespace fly::rpc {

namespace {

/// The interceptors of one call, and behind them the function.
struct chain {
  const std::vector<server_interceptor>& all;
  const incoming_call& call;
  const raw_handler& handler;
  bool has_run = false; // the function
  caf::error told{};    // by it, last

  caf::expected<bytes> run(std::size_t from) {
    if (from < all.size())
      return all[from](call, [this, from] { return run(from + 1); });
    has_run = true;
    auto outcome = handler(call.context, call.arguments);
    told = outcome ? caf::error{} : outcome.error();
    return outcome;
  }

  /// What an interceptor makes of the outcome of a function never says that nothing ran.
  caf::expected<bytes> run() {
    auto outcome = run(0);
    if (outcome || !has_run || fly::to_string(outcome.error()) == fly::to_string(told))
      return outcome;
    return as_returned(outcome.error());
  }
};

bool same_name(std::string_view a, std::string_view b) {
  auto small = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return small(x) == small(y); });
}

/// The caller's own reply, beneath those of the interceptors: hears the first outcome alone, and of
/// one that they have dropped.
class last_reply {
public:
  last_reply(std::string name, raw_reply take) : name_(std::move(name)), take_(std::move(take)) {}

  ~last_reply() {
    if (!taken_)
      take_(make_error(errc::outcome_unknown,
                       "an interceptor of its caller has dropped what became of " + name_));
  }

  last_reply(const last_reply&) = delete;
  last_reply& operator=(const last_reply&) = delete;

  void operator()(caf::expected<bytes> outcome) {
    if (!taken_.exchange(true))
      take_(std::move(outcome));
  }

private:
  const std::string name_;
  const raw_reply take_;
  std::atomic<bool> taken_{false};
};

/// What the caller hears in the place of an outcome that did not come through.
caf::error thrown(const std::string& name, const caf::error& reason, const std::string& what) {
  if (reason)
    return reason;
  return make_error(errc::function_failed,
                    name + " has run, but an interceptor of its caller threw: " + what,
                    {{"what", what}});
}

caf::error ask(const caller_interceptor& which, outgoing_call& call) {
  try {
    return which(call);
  } catch (...) {
    auto what = actors::what_of_thrown();
    return make_error(errc::invalid_argument,
                      "an interceptor threw before " + std::string{call.name} +
                          " was called: " + what,
                      {{"what", what}});
  }
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

caf::error show(const std::vector<caller_interceptor>& all, outgoing_call& call) {
  if (all.empty())
    return {};
  auto last = std::make_shared<last_reply>(std::string{call.name}, std::move(call.reply));
  call.reply = [last](caf::expected<bytes> outcome) { (*last)(std::move(outcome)); };
  caf::error refused;
  for (const auto& each : all)
    if (refused = ask(each, call); refused)
      break;
  call.reply = [last, name = std::string{call.name},
                outer = std::move(call.reply)](caf::expected<bytes> outcome) {
    auto reason = outcome ? caf::error{} : outcome.error();
    try {
      outer(std::move(outcome));
    } catch (...) {
      (*last)(thrown(name, reason, actors::what_of_thrown()));
    }
  };
  return refused;
}

raw_handler intercepted(std::string name, std::vector<server_interceptor> all,
                        raw_handler handler) {
  return [name = std::move(name), all = std::move(all), handler = std::move(handler)](
             const call_context& context, std::span<const char> arguments) {
    incoming_call call{name, context, arguments};
    return chain{all, call, handler}.run();
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
    if (context.parts != nullptr && !rules.empty())
      return make_error(errc::not_allowed,
                        "what is served for some callers only is not explained: the call is made "
                        "by " +
                            context.caller.id + ", whoever asked for it");
    if (auto refused = check_allowed(rules, context))
      return refused;
    return handler(context, arguments);
  };
}

} // namespace fly::rpc
