#include "apps/flycluster/explain.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "fly/actors/error.hpp"
#include "fly/repo/explain_write.hpp"
#include "fly/rpc/json_codec.hpp"
#include "fly/rpc/tools.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::apps {

namespace {

using namespace std::chrono_literals;
using signatures = std::map<std::string, std::string>;

/// The report of the call takes this longer than the call may.
constexpr std::chrono::milliseconds report_time_max = 2s;

/// Returns the signature of `name`, as the asking member has it, else as the asked one has it: the
/// first costs the call itself nothing that it would otherwise have to wait for.
caf::expected<std::string> signature_of(const visit& here, const signatures& at_asker,
                                        const rpc::target& whom, const std::string& name) {
  if (auto found = at_asker.find(name); found != at_asker.end())
    return found->second;
  auto served = rpc::detail::ask(here.rpc.with({.timeout = here.timeout}), whom, rpc::describe);
  if (!served)
    return served.error();
  if (auto found = served->find(name); found != served->end())
    return found->second;
  return make_error(errc::unknown_function, "no function " + name + " is served there");
}

/// A write's answer without its wait is a tuple: position, time, whether it ran on the asking node,
/// whether it is a first copy's, and perhaps the function's own result. Takes it apart.
void take_apart(explained& to) {
  auto whole = nlohmann::json::parse(to.result, nullptr, false);
  if (!whole.is_array() || whole.size() < 4 || !whole[0].is_string() || !whole[2].is_boolean())
    return;
  to.what.position = whole[0].get<std::string>();
  to.what.visible = whole[2].get<bool>();
  to.result = whole.size() > 4 ? whole[4].dump() : "null";
}

/// Makes the encoded result readable. Errors: errc::malformed_result.
caf::error read_result(explained& to, const rpc::function_type& types) {
  if (to.what.code != 0)
    return {};
  bool is_whole = !to.is_write || !to.has_database;
  rpc::type_node nothing;
  const auto* type = &types.result;
  if (!is_whole)
    type = types.result.inner.size() > 4 ? &types.result.inner[4] : &nothing;
  auto text = rpc::bytes_to_json(*type, to.what.result);
  if (!text)
    return text.error();
  to.result = std::move(*text);
  if (to.is_write && is_whole)
    take_apart(to);
  return {};
}

/// Lets `call.from` make the call and fills in what became of it.
caf::error ask_for(explained& call, const visit& here, rpc::explain_request asked) {
  auto types = rpc::parse_signature(asked.signature);
  if (!types)
    return types.error();
  auto patient = here.rpc.with({.timeout = here.timeout + report_time_max});
  auto told = rpc_member(patient, call.from.id,
                         call.is_write && call.has_database ? repo::explain_write : rpc::explain,
                         std::move(asked));
  if (!told)
    return told.error();
  call.what = std::move(*told);
  return read_result(call, *types);
}

} // namespace

caf::expected<rpc::member_report> choose_asker(const std::vector<rpc::member_report>& seen,
                                               std::string_view wanted,
                                               std::string_view own_region) {
  const rpc::member_report* best = nullptr;
  int best_rank = 0;
  for (const auto& each : seen) {
    int rank = each.state == "suspect" ? 0 : 1;
    if (!wanted.empty() && each.id == wanted)
      rank += 4;
    else if (each.region == (wanted.empty() ? own_region : wanted))
      rank += 2;
    else if (!wanted.empty())
      continue;
    if (best == nullptr || rank > best_rank) {
      best = &each;
      best_rank = rank;
    }
  }
  if (best != nullptr)
    return *best;
  std::string all;
  for (const auto& each : seen)
    all += (all.empty() ? "" : ", ") + each.id + " in " + each.region;
  return make_error(errc::no_such_member,
                    "no member or region " + std::string{wanted} +
                        " to make the call from; seen: " + (all.empty() ? "nobody" : all));
}

int run_explain(const visit& here, const std::string& from, const rpc::target& whom,
                const std::vector<std::string>& words) {
  auto arguments = json_arguments(words);
  if (!arguments)
    return print_error(here.json, arguments.error());
  auto seen = look_around(here);
  if (!seen)
    return print_error(here.json, seen.error());
  auto asker = choose_asker(seen->members, from, here.node.my_region());
  if (!asker)
    return print_error(here.json, asker.error());
  auto quick = here.rpc.with({.timeout = here.timeout});
  auto at_asker = rpc_member(quick, asker->id, rpc::describe);
  if (!at_asker)
    return print_error(here.json, at_asker.error());
  if (!at_asker->contains(std::string{rpc::explain.name}))
    return print_error(here.json,
                       make_error(errc::unknown_function,
                                  asker->id + " runs a version of fly that cannot explain; "
                                              "name another member with --from"));
  auto text = signature_of(here, *at_asker, whom, words[0]);
  if (!text)
    return print_error(here.json, text.error());
  auto types = rpc::parse_signature(*text);
  if (!types)
    return print_error(here.json, types.error());
  auto encoded = rpc::encode_arguments(*types, *arguments);
  if (!encoded)
    return print_error(here.json, encoded.error());
  explained call{.name = words[0],
                 .from = *asker,
                 .served_region = {},
                 .is_write = types->mark == rpc::keyed_mark,
                 .has_database = at_asker->contains(std::string{repo::explain_write.name}),
                 .what = {}};
  auto failed = ask_for(call, here,
                        {.kind = whom.kind,
                         .whom = whom.name,
                         .name = words[0],
                         .signature = *text,
                         .arguments = std::move(*encoded),
                         .timeout = here.timeout});
  if (failed)
    return print_error(here.json, failed);
  for (const auto& each : seen->members)
    if (each.id == call.what.member)
      call.served_region = each.region;
  return print_explained(call, here.json);
}

} // namespace fly::apps
