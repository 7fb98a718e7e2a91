// What the faults' callers call.
#include "fly/actors/error.hpp"
#include "fly/repo/rpc_and_wait.hpp"
#include "fly/rpc/verbs.hpp"
#include "tests/faults/contract.hpp"
#include "tests/faults/faults.hpp"

namespace fly::faults {

namespace {

template <class T>
caf::error error_in(const caf::expected<T>& outcome) {
  return outcome ? caf::error{} : outcome.error();
}

} // namespace

load::call call_primary(lab& it) {
  return [&rpc = it.caller().rpc](milliseconds timeout) {
    return error_in(rpc_primary(rpc.with({.timeout = timeout}), where, "x"));
  };
}

load::call call_member(lab& it, std::string id) {
  return [&rpc = it.caller().rpc, id = std::move(id)](milliseconds timeout) {
    return error_in(rpc_member(rpc.with({.timeout = timeout}), id, where, "x"));
  };
}

load::call call_region(lab& it, std::string region) {
  return [&rpc = it.caller().rpc, region = std::move(region)](milliseconds timeout) {
    return error_in(rpc_region(rpc.with({.timeout = timeout}), region, slow, 2));
  };
}

load::call write_row(lab& it) {
  return [&db = it.caller().db](milliseconds timeout) {
    return error_in(rpc_primary(db.with({.timeout = timeout}), add, "x"));
  };
}

load::call write_and_wait(lab& it) {
  return [&db = it.caller().db](milliseconds timeout) {
    return error_in(rpc_and_wait(db.with({.timeout = timeout}), add, "x"));
  };
}

slow_calls::slow_calls(lab& it, const std::string& id, std::size_t count, milliseconds takes,
                       milliseconds timeout)
    : lab_(it), id_(id) {
  for (std::size_t i = 0; i < count; ++i)
    answers_.push_back(std::async(std::launch::async, [&it, id, takes, timeout] {
      return error_in(rpc_member(it.caller().rpc.with({.timeout = timeout}), id, slow,
                                 static_cast<std::int32_t>(takes.count())));
    }));
}

bool slow_calls::running() const {
  return eventually([this] {
    auto count = rpc_member(lab_.caller().rpc.with({.timeout = 1s}), id_, faults::running);
    return count && static_cast<std::size_t>(*count) >= answers_.size();
  });
}

std::vector<caf::error> slow_calls::get() {
  std::vector<caf::error> result;
  for (auto& it : answers_)
    result.push_back(it.get());
  return result;
}

std::string text_of(const std::map<std::string, std::size_t>& counts) {
  std::string result;
  for (const auto& [name, count] : counts)
    result += (result.empty() ? "" : ", ") + name + " " + std::to_string(count);
  return result;
}

} // namespace fly::faults
