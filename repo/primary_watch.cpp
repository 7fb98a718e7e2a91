#include "fly/repo/primary_watch.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "fly/repo/lag_board.hpp"
#include "fly/repo/remote_read.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/verbs.hpp"

namespace fly::repo {

using clock = std::chrono::steady_clock;

struct primary_watch::log {
  std::mutex mutex;
  lag_board board;     // guarded by mutex
  bool asking = false; // guarded by mutex; in the background

  void add(time_point asked, const position& where) {
    std::lock_guard guard{mutex};
    board.add(asked, where);
  }
};

namespace {

caf::expected<position> said(caf::expected<std::string> text) {
  if (!text)
    return std::move(text.error());
  return parse_position(*text);
}

} // namespace

primary_watch::primary_watch(const rpc::endpoint& rpc, std::string name)
    : rpc_(rpc), name_(std::move(name)), log_(std::make_shared<log>()) {}

caf::expected<position> primary_watch::ask(time_point deadline) {
  auto asked = clock::now();
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - asked);
  auto where =
      said(fly::rpc_primary(rpc_.with({.timeout = std::max(left, std::chrono::milliseconds{1})}),
                            decltype(primary_position){name_.c_str()}));
  if (where)
    log_->add(asked, *where);
  return where;
}

caf::expected<position> primary_watch::enough_for(std::chrono::milliseconds lag, time_point begun,
                                                  time_point deadline) {
  auto known = [&] {
    std::lock_guard guard{log_->mutex};
    return log_->board.enough_for(begun - lag);
  }();
  if (!known)
    return ask(deadline);
  refresh(lag, begun);
  return *known;
}

void primary_watch::refresh(std::chrono::milliseconds lag, time_point now) {
  {
    std::lock_guard guard{log_->mutex};
    auto last = log_->board.asked_last();
    if (log_->asking || (last && now - *last < lag / 2))
      return;
    log_->asking = true;
  }
  auto asked = clock::now();
  rpc_.start(rpc::target::primary(), name_, rpc::signature_of<std::string()>(), {}, asked + lag,
             [log = log_, asked](caf::expected<rpc::bytes> answer) {
               if (answer)
                 if (auto where = said(rpc::decode_result<std::string>(*answer)))
                   log->add(asked, *where);
               std::lock_guard guard{log->mutex};
               log->asking = false;
             });
}

std::optional<std::chrono::microseconds> primary_watch::lag_of(const progress& server) const {
  std::lock_guard guard{log_->mutex};
  return log_->board.lag_of(server, clock::now());
}

} // namespace fly::repo
