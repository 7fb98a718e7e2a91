#include "tests/simulation/network.hpp"

#include <algorithm>

namespace fly::simulation {

using namespace std::chrono_literals;

namespace {

constexpr moment retry_first = 200ms;
constexpr moment retry_max = 3200ms;
constexpr moment connect_retry_first = 1000ms;
constexpr std::size_t chunk_bytes_max = 8 * 1024;

moment next_retry(moment pause) {
  return std::min<moment>(pause * 2, retry_max);
}

} // namespace

// -- connections ----------------------------------------------------------------------------------

void network::listen(machine& where, acceptor take) {
  listening_[where.index] = std::move(take);
}

void network::unlisten(const machine& where) {
  listening_.erase(where.index);
}

std::shared_ptr<socket> network::dial(machine& from, const std::string& address) {
  auto fresh = std::make_shared<wire>();
  fresh->dialler = std::make_shared<socket>(*this, from);
  fresh->dialler->wire_ = fresh;
  fresh->remote =
      from.address.substr(0, from.address.rfind(':') + 1) + std::to_string(++last_port_);
  wires_.push_back(fresh);
  auto found = machines_.find(address);
  if (found != machines_.end())
    when_.after(latency(from, *found->second), nullptr, [this, fresh, target = found->second] {
      ask(fresh, *target, connect_retry_first);
    });
  return fresh->dialler; // to nowhere: no answer ever
}

/// The first packet has come, or is sent again.
void network::ask(const std::shared_ptr<wire>& on, machine& target, moment pause) {
  auto& from = on->dialler->owner();
  if (!on->dialler->open_ || on->dialler->life_ != from.life)
    return;
  if (is_cut(from, target) || !target.powered || random_.percent(quality.loss_percent))
    return when_.after(pause, nullptr,
                       [this, on, &target, pause] { ask(on, target, next_retry(pause)); });
  if (!listening_.contains(target.index))
    return close_later(on->dialler, target);
  if (!on->acceptor)
    welcome(on, target);
}

void network::welcome(const std::shared_ptr<wire>& on, machine& target) {
  on->acceptor = std::make_shared<socket>(*this, target);
  on->acceptor->wire_ = on;
  on->acceptor->connected_ = true;
  when_.at(now(), &target, [this, on, &target] { // waits in the backlog of a frozen one
    auto take = listening_.find(target.index);
    if (take == listening_.end() || !on->acceptor->open_)
      return close_later(on->dialler, target);
    take->second(on->acceptor, on->remote);
  });
  when_.after(latency(target, on->dialler->owner()), nullptr,
              [this, on] { connected(on, connect_retry_first); });
}

void network::connected(const std::shared_ptr<wire>& on, moment pause) {
  if (is_cut(on->acceptor->owner(), on->dialler->owner()))
    return when_.after(pause, nullptr, [this, on, pause] { connected(on, next_retry(pause)); });
  on->dialler->connected_ = true;
  move(on->dialler);
}

std::shared_ptr<socket> network::other(const std::shared_ptr<wire>& on, const socket& one) {
  return on->dialler.get() == &one ? on->acceptor : on->dialler;
}

void network::say_closed(socket& who) {
  auto user = std::exchange(who.user_, {});
  if (std::exchange(who.open_, false) && user.on_closed)
    user.on_closed();
}

/// Tells `who` that its connection is no more, by a packet of `by`, which is lost on a cut way.
void network::close_later(const std::shared_ptr<socket>& who, const machine& by) {
  if (is_cut(by, who->owner()))
    return;
  when_.after(latency(by, who->owner()), nullptr, [this, who] {
    if (who->life_ != who->owner().life)
      return;
    who->flying_.clear();
    when_.at(now(), &who->owner(), [who] { say_closed(*who); });
  });
}

// -- bytes ----------------------------------------------------------------------------------------

void socket::send(std::span<const char> bytes) {
  auto on = wire_.lock();
  if (!on || !open_)
    return;
  while (!bytes.empty()) {
    // In pieces of any size, as a stream comes.
    auto most = std::min(bytes.size(), chunk_bytes_max);
    auto size =
        net_.random_.percent(net_.quality.whole_percent) ? most : 1 + net_.random_.below(most);
    unsent_.push_back({{bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}});
    unsent_bytes_ += size;
    bytes = bytes.subspan(size);
  }
  net_.move(on->dialler.get() == this ? on->dialler : on->acceptor);
}

void socket::finish() {
  auto on = wire_.lock();
  if (!on || !std::exchange(open_, false))
    return;
  user_ = {};
  unsent_.push_back({{}, true});
  net_.move(on->dialler.get() == this ? on->dialler : on->acceptor);
}

/// Sends what the window lets through.
void network::move(const std::shared_ptr<socket>& from) {
  auto on = from->wire_.lock();
  if (!on || !from->connected_ || from->life_ != from->owner().life)
    return;
  auto to = other(on, *from);
  bool moved = false;
  while (!from->unsent_.empty() && from->unacknowledged_ < window_bytes) {
    auto next = std::move(from->unsent_.front());
    from->unsent_.pop_front();
    auto size = next.bytes.size();
    from->unsent_bytes_ -= size;
    from->unacknowledged_ += size;
    auto takes = latency(from->owner(), to->owner());
    if (random_.percent(quality.loss_percent))
      takes += retry_first;
    next.arrives = std::max(now() + takes, from->last_arrival_);
    from->last_arrival_ = next.arrives;
    from->flying_.push_back(std::move(next));
    moved = true;
  }
  carry(from);
  if (moved && from->open_)
    when_.at(now(), &from->owner(), [from] {
      if (from->open_ && from->user_.on_taken)
        from->user_.on_taken(from->unsent_bytes_);
    });
}

/// Plans the arrival of the first chunk: those behind it wait.
void network::carry(const std::shared_ptr<socket>& from) {
  if (from->carrying_ || from->flying_.empty())
    return;
  from->carrying_ = true;
  from->retry_ = retry_first;
  when_.at(from->flying_.front().arrives, nullptr, [this, from] { arrive(from); });
}

void network::arrive(const std::shared_ptr<socket>& from) {
  from->carrying_ = false;
  auto on = from->wire_.lock();
  if (!on || from->flying_.empty() || from->life_ != from->owner().life)
    return;
  auto to = other(on, *from);
  auto& target = to->owner();
  if (is_cut(from->owner(), target) || !target.powered) {
    from->carrying_ = true;
    when_.after(from->retry_, nullptr, [this, from] { arrive(from); });
    from->retry_ = next_retry(from->retry_);
    return;
  }
  if (to->life_ != target.life || (!to->open_ && !from->flying_.front().end))
    return close_later(from, target); // nobody has that connection: reset
  auto next = std::move(from->flying_.front());
  from->flying_.pop_front();
  deliver(from, to, std::move(next));
  carry(from);
}

void network::deliver(const std::shared_ptr<socket>& from, const std::shared_ptr<socket>& to,
                      socket::chunk what) {
  when_.at(now(), &to->owner(), [this, from, to, what = std::move(what)] {
    if (!to->open_) {
      if (!what.end)
        close_later(from, to->owner());
      return;
    }
    if (what.end) {
      say_closed(*to);
      return;
    }
    acknowledge(from, to->owner(), what.bytes.size(), retry_first);
    for (auto* count : {&to_[to->owner().index], &from_[from->owner().index]}) {
      count->bytes += what.bytes.size();
      ++count->messages;
    }
    auto user = to->user_; // which may end the connection
    if (user.on_bytes)
      user.on_bytes(std::as_bytes(std::span{what.bytes}));
  });
}

void network::acknowledge(const std::shared_ptr<socket>& from, const machine& by, std::size_t bytes,
                          moment pause) {
  if (is_cut(by, from->owner()))
    return when_.after(pause, nullptr, [this, from, &by, bytes, pause] {
      acknowledge(from, by, bytes, next_retry(pause));
    });
  when_.after(latency(by, from->owner()), nullptr, [this, from, bytes] {
    from->unacknowledged_ -= std::min(bytes, from->unacknowledged_);
    if (!from->unsent_.empty())
      move(from);
  });
}

// -- faults ---------------------------------------------------------------------------------------

void network::heal(const machine& a, const machine& b) {
  auto found = cuts_.find({a.index, b.index});
  if (found != cuts_.end() && --found->second <= 0)
    cuts_.erase(found);
}

bool network::is_cut(const machine& a, const machine& b) const {
  return !cuts_.empty() && cuts_.contains({a.index, b.index});
}

void network::reset(const machine& a, const machine& b) {
  for (const auto& each : wires_) {
    if (!each->acceptor)
      continue;
    auto ends = std::minmax(each->dialler->owner().index, each->acceptor->owner().index);
    if (ends != std::minmax(a.index, b.index))
      continue;
    for (const auto& end : {each->dialler, each->acceptor}) {
      end->flying_.clear();
      end->unsent_.clear();
      end->unsent_bytes_ = 0;
      when_.at(now(), &end->owner(), [end] { say_closed(*end); });
    }
  }
}

void network::crash(machine& who, bool told) {
  listening_.erase(who.index);
  for (const auto& each : wires_)
    for (const auto& end : {each->dialler, each->acceptor}) {
      if (!end || &end->owner() != &who)
        continue;
      auto peer = other(each, *end);
      end->open_ = false;
      end->user_ = {};
      if (told && peer)
        close_later(peer, who);
    }
  std::erase_if(wires_, [](const auto& each) {
    return !each->dialler->open_ && (!each->acceptor || !each->acceptor->open_);
  });
}

moment network::latency(const machine& from, const machine& to) {
  auto base = from.region == to.region ? quality.near_latency : quality.far_latency;
  return base + random_.time(std::chrono::microseconds{0}, quality.jitter);
}

} // namespace fly::simulation
