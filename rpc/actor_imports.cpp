#include "fly/rpc/actor_imports.hpp"

#include <chrono>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/message.hpp>

#include "fly/actors/error.hpp"
#include "fly/cluster/channel.hpp"
#include "fly/cluster/wire.hpp"
#include "fly/rpc/parcel.hpp"
#include "fly/rpc/request_table.hpp"

namespace fly::rpc {

/// An actor of another member, as it is known here.
struct actor_imports::imported {
  std::shared_ptr<cluster::channel> link;
  std::uint64_t publication = 0;
  std::string label; // "cart at syd-1"
  caf::strong_actor_ptr stub;
  std::mutex mutex;
  bool ended = false;           // guarded by mutex
  bool has_warned = false;      // guarded by mutex
  request_table<mail> requests; // guarded by mutex

  import_key key() const noexcept { return {link.get(), publication}; }
};

caf::expected<caf::actor> actor_imports::adopt(const std::shared_ptr<cluster::channel>& link,
                                               std::uint64_t publication, const std::string& name) {
  auto fresh = std::make_shared<imported>();
  fresh->link = link;
  fresh->publication = publication;
  fresh->label = name + " at " + link->peer().id;
  fresh->stub = make_stub(system_(), [weak = weak_from_this(), of = std::weak_ptr<imported>{fresh}](
                                         const mail& what, const caf::type_erased_tuple& content) {
    auto self = weak.lock();
    auto to = of.lock();
    if (self && to)
      self->send(*to, what, content);
    else
      respond(what, nullptr, make_error(errc::no_such_member, "the actor has ended"));
  });
  {
    std::lock_guard guard{mutex_};
    if (closed_)
      return make_error(errc::shutting_down, "the endpoint is closing");
    if (auto known = imported_.find(fresh->key()); known != imported_.end())
      return caf::actor_cast<caf::actor>(known->second->stub);
    if (imported_.size() >= imported_max)
      return make_error(errc::overloaded,
                        std::to_string(imported_max) + " actors of other members are known here");
    // Before anybody else can find it: the attachment goes first. A link that has closed refuses
    // it, one that closes later finds the actor and ends it.
    if (auto refused =
            link->send(attach_frame, cluster::bytes_of(head_of(attach_message{publication}))))
      return refused;
    imported_.emplace(fresh->key(), fresh);
  }
  return caf::actor_cast<caf::actor>(fresh->stub);
}

std::shared_ptr<actor_imports::imported> actor_imports::find(const import_key& key) const {
  std::lock_guard guard{mutex_};
  auto found = imported_.find(key);
  return found == imported_.end() ? nullptr : found->second;
}

std::shared_ptr<actor_imports::imported> actor_imports::remove(const import_key& key) {
  std::lock_guard guard{mutex_};
  auto found = imported_.find(key);
  if (found == imported_.end())
    return nullptr;
  auto result = std::move(found->second);
  imported_.erase(found);
  return result;
}

/// Sends what came to the stub of `to`, on the sender's thread.
void actor_imports::send(imported& to, const mail& what, const caf::type_erased_tuple& content) {
  if (what.is_response() || is_exit(content) || down_reason(content) != nullptr)
    return; // what ends here is no business of an actor elsewhere
  auto packed = pack(system_(), content);
  if (!packed)
    return drop(to, what, packed.error());
  std::uint64_t request = 0;
  std::vector<mail> expired;
  caf::error refused;
  {
    std::lock_guard guard{to.mutex};
    if (to.ended) {
      refused = make_error(errc::no_such_member, to.label + " has ended");
    } else if (what.is_request()) {
      request = ++last_request_; // under the lock: the numbers of one actor ascend
      refused = to.requests.add(request, what, std::chrono::steady_clock::now(), expired);
    }
  }
  for (const auto& each : expired)
    respond(each, to.stub,
            make_error(errc::timeout, to.label + " has not answered, and other requests wait"));
  if (refused)
    return respond(what, to.stub, refused);
  auto head = head_of(letter_message{to.publication, request, what.is_urgent(), {}});
  if (auto failed =
          to.link->send(letter_frame, cluster::bytes_of(head), cluster::bytes_of(*packed)))
    undo(to, what, request, failed);
}

/// Says what a message that did not leave means for its sender.
void actor_imports::undo(imported& to, const mail& what, std::uint64_t request,
                         const caf::error& reason) {
  if (request != 0) {
    std::unique_lock lock{to.mutex};
    auto open = to.requests.take(request);
    lock.unlock();
    if (open) // else the end of the link was quicker
      respond(*open, to.stub, reason);
  } else if (reason == errc::overloaded) {
    // Nobody hears that this one is lost, and what follows must not arrive without it.
    if (remove(to.key()))
      end(to, reason);
  } else {
    drop(to, what, reason);
  }
}

/// Refuses a message that cannot travel: a request is answered so, of others the log has one line.
void actor_imports::drop(imported& to, const mail& what, const caf::error& reason) {
  if (what.is_request())
    return respond(what, to.stub, reason);
  {
    std::lock_guard guard{to.mutex};
    if (std::exchange(to.has_warned, true))
      return;
  }
  log_(cluster::log_level::warning, "a message to " + to.label + " is dropped: " + text_of(reason));
}

caf::error actor_imports::on_reply(const std::shared_ptr<cluster::channel>& from,
                                   std::span<const std::byte> payload) {
  auto reply = parse_reply(payload);
  if (!reply)
    return reply.error();
  auto of = find({from.get(), reply->publication});
  if (!of)
    return {};
  std::unique_lock lock{of->mutex};
  auto open = of->requests.take(reply->request);
  lock.unlock();
  if (!open)
    return {};
  if (reply->failed)
    respond(*open, of->stub, std::move(reply->reason));
  else if (auto content = unpack(system_(), reply->content))
    respond(*open, of->stub, std::move(*content));
  else
    respond(*open, of->stub, make_error(errc::malformed_result, text_of(content.error())));
  return {};
}

caf::error actor_imports::on_ended(const std::shared_ptr<cluster::channel>& from,
                                   std::span<const std::byte> payload) {
  auto message = parse_ended(payload);
  if (!message)
    return message.error();
  if (auto gone = remove({from.get(), message->publication}))
    end(*gone, message->reason);
  return {};
}

void actor_imports::end(imported& whom, const caf::error& reason) {
  std::vector<mail> open;
  {
    std::lock_guard guard{whom.mutex};
    whom.ended = true;
    open = whom.requests.drain();
  }
  auto why = reason ? ": " + text_of(reason) : std::string{};
  for (const auto& each : open)
    respond(each, whom.stub,
            make_error(errc::member_lost, whom.label + " ended before it answered" + why));
  end_stub(whom.stub, reason);
}

void actor_imports::on_link_down(const std::shared_ptr<cluster::channel>& which,
                                 const caf::error& reason) {
  std::vector<std::shared_ptr<imported>> gone;
  {
    std::lock_guard guard{mutex_};
    auto begin = imported_.lower_bound({which.get(), 0});
    auto last = begin;
    for (; last != imported_.end() && last->first.first == which.get(); ++last)
      gone.push_back(last->second);
    imported_.erase(begin, last);
  }
  auto why = reason ? ": " + text_of(reason) : std::string{};
  for (const auto& each : gone)
    end(*each, make_error(errc::member_lost, "the link to " + which->peer().id + " is lost" + why));
}

void actor_imports::close() {
  std::vector<std::shared_ptr<imported>> gone;
  {
    std::lock_guard guard{mutex_};
    closed_ = true;
    for (const auto& [key, each] : imported_)
      gone.push_back(each);
    imported_.clear();
  }
  for (const auto& each : gone)
    end(*each, make_error(errc::shutting_down, "the endpoint is closing"));
}

} // namespace fly::rpc
