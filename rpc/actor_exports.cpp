#include "fly/rpc/actor_exports.hpp"

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/message.hpp>

#include "fly/actors/error.hpp"
#include "fly/cluster/channel.hpp"
#include "fly/rpc/interceptor.hpp"
#include "fly/rpc/message.hpp"
#include "fly/rpc/parcel.hpp"

namespace fly::rpc {

namespace {

call_context context_of(const cluster::channel& from) {
  call_context result{{}, from.peer()};
  result.certificate = from.certificate();
  return result;
}

caf::error not_there() {
  return make_error(errc::unknown_function, "the actor has ended, or is not published any more");
}

caf::error replies_stuck() {
  return make_error(errc::overloaded, "the link takes no more replies");
}

} // namespace

caf::error actor_exports::publish(std::string name, const caf::actor& who,
                                  std::vector<caller_rule> allow) {
  if (!is_name(name))
    return make_error(errc::invalid_argument,
                      "the name of an actor has 1 to 200 printable characters without spaces");
  if (!who)
    return make_error(errc::invalid_argument, name + " needs an actor");
  auto whom = caf::actor_cast<caf::strong_actor_ptr>(who);
  std::uint64_t number = 0;
  caf::strong_actor_ptr watch;
  {
    std::lock_guard guard{mutex_};
    if (closed_)
      return make_error(errc::shutting_down, "the endpoint is closing");
    if (names_.contains(name))
      return make_error(errc::already_served, "an actor " + name + " is published already");
    if (published_.size() >= published_max)
      return make_error(errc::invalid_argument, "no more than " + std::to_string(published_max) +
                                                    " actors can be published");
    number = ++last_number_;
    watch = make_stub(system_(), [weak = weak_from_this(),
                                  number](const mail&, const caf::type_erased_tuple& content) {
      const auto* reason = down_reason(content);
      if (auto self = weak.lock(); self && reason != nullptr)
        self->withdraw(number, *reason);
    });
    names_.emplace(name, number);
    published_.emplace(number, publication{std::move(name), whom, std::move(allow), watch});
  }
  begin_watch(whom, watch);
  if (!local(number))
    return make_error(errc::invalid_argument, "the actor to be published has ended");
  return {};
}

void actor_exports::unpublish(std::string_view name) {
  std::uint64_t number = 0;
  {
    std::lock_guard guard{mutex_};
    auto found = names_.find(name);
    if (found == names_.end())
      return;
    number = found->second;
  }
  withdraw(number,
           make_error(errc::shutting_down, std::string{name} + " is not published any more"));
}

/// Takes an actor out, and tells those who speak with it.
void actor_exports::withdraw(std::uint64_t number, const caf::error& reason) {
  publication gone;
  std::vector<attachment> told;
  {
    std::lock_guard guard{mutex_};
    auto found = published_.find(number);
    if (found == published_.end())
      return;
    gone = std::move(found->second);
    published_.erase(found);
    names_.erase(gone.name);
    for (auto each = attached_.begin(); each != attached_.end();) {
      if (each->first.second == number) {
        told.push_back(std::move(each->second));
        each = attached_.erase(each);
      } else
        ++each;
    }
  }
  end_watch(gone.who, gone.watch);
  end_stub(gone.watch, {});
  for (const auto& each : told)
    tell_end(each, number, reason);
}

void actor_exports::tell_end(const attachment& whom, std::uint64_t number,
                             const caf::error& reason) {
  late_.send(whom.link, ended_frame, head_of(ended_message{number, reason}), {}, number);
  end_stub(whom.stub, reason);
}

caf::expected<std::uint64_t> actor_exports::find(const std::string& name,
                                                 const call_context& asker) const {
  std::lock_guard guard{mutex_};
  auto found = names_.find(name);
  if (found == names_.end())
    return make_error(errc::unknown_function, "no actor " + name + " is published there",
                      {{"actor", name}});
  if (auto refused = check_allowed(published_.at(found->second).allow, asker))
    return refused;
  return found->second;
}

caf::strong_actor_ptr actor_exports::local(std::uint64_t publication) const {
  std::lock_guard guard{mutex_};
  auto found = published_.find(publication);
  return found == published_.end() ? nullptr : found->second.who;
}

caf::error actor_exports::on_attach(const std::shared_ptr<cluster::channel>& from,
                                    std::span<const std::byte> payload) {
  auto message = parse_attach(payload);
  if (!message)
    return message.error();
  auto number = message->publication;
  auto stub = make_stub(system_(), [weak = weak_from_this(), from, number](
                                       const mail& what, const caf::type_erased_tuple& content) {
    if (!what.is_response())
      respond(what, nullptr,
              make_error(errc::invalid_argument, "who speaks with a published actor can be "
                                                 "answered, and not be asked"));
    else if (auto self = weak.lock())
      self->reply(from, number, what.number(), content);
  });
  caf::error refused;
  attachment before;
  {
    std::lock_guard guard{mutex_};
    auto found = published_.find(number);
    if (found == published_.end())
      refused = not_there();
    else
      refused = check_allowed(found->second.allow, context_of(*from));
    if (!refused)
      before = std::exchange(attached_[{from.get(), number}],
                             {from, stub, std::make_shared<mailbox_share>()});
  }
  if (before.stub) // the member has given that one up
    end_stub(before.stub, make_error(errc::overloaded, "a link was full"));
  if (refused)
    late_.send(from, ended_frame, head_of(ended_message{number, refused}));
  return {};
}

caf::error actor_exports::on_letter(const std::shared_ptr<cluster::channel>& from,
                                    std::span<const std::byte> payload) {
  auto letter = parse_letter(payload);
  if (!letter)
    return letter.error();
  attachment_key key{from.get(), letter->publication};
  caf::strong_actor_ptr to;
  caf::strong_actor_ptr stub;
  std::shared_ptr<mailbox_share> share;
  {
    std::lock_guard guard{mutex_};
    auto found = attached_.find(key);
    if (found != attached_.end()) {
      to = published_.at(letter->publication).who;
      stub = found->second.stub;
      share = found->second.share;
    }
  }
  if (!to) {
    refuse(from, *letter, not_there());
    return {};
  }
  auto content = unpack(system_(), letter->content);
  if (!content) {
    refuse(from, *letter, content.error());
  } else if (share->enter(letter->content.size())) {
    deliver(to, std::move(stub), letter->request, letter->urgent, std::move(*content),
            std::move(share), letter->content.size());
  } else {
    auto full = make_error(errc::overloaded, "the actor has more messages than it can deal with");
    if (letter->request != 0)
      refuse(from, *letter, std::move(full));
    else
      end_attachment(key, full); // what follows must not arrive without this one
  }
  return {};
}

/// Answers a request that does not reach its actor; a message of which nobody waits for an answer
/// is dropped, with one line in the log for each member and actor.
void actor_exports::refuse(const std::shared_ptr<cluster::channel>& from,
                           const letter_message& letter, caf::error reason) {
  if (letter.request != 0) {
    reply_message message{letter.publication, letter.request, true, std::move(reason)};
    if (late_.send(from, reply_frame, head_of(message)) == late_frames::fate::refused)
      end_attachment({from.get(), letter.publication}, replies_stuck());
    return;
  }
  {
    std::lock_guard guard{mutex_};
    auto found = attached_.find({from.get(), letter.publication});
    if (found == attached_.end() || std::exchange(found->second.has_warned, true))
      return;
  }
  log_(cluster::log_level::warning,
       "a message of " + from->peer().id + " to an actor here is dropped: " + text_of(reason));
}

void actor_exports::end_attachment(const attachment_key& which, const caf::error& reason) {
  attachment gone;
  {
    std::lock_guard guard{mutex_};
    auto found = attached_.find(which);
    if (found == attached_.end())
      return;
    gone = std::move(found->second);
    attached_.erase(found);
  }
  tell_end(gone, which.second, reason);
}

void actor_exports::reply(const std::shared_ptr<cluster::channel>& to, std::uint64_t number,
                          std::uint64_t request, const caf::type_erased_tuple& content) {
  reply_message message{number, request};
  bytes packed;
  if (const auto* reason = error_in(content)) {
    message.failed = true;
    message.reason = *reason;
  } else if (auto done = pack(system_(), content)) {
    packed = std::move(*done);
  } else {
    message.failed = true;
    message.reason = make_error(errc::malformed_result, text_of(done.error()));
  }
  auto fate = late_.send(to, reply_frame, head_of(message), std::move(packed));
  if (fate == late_frames::fate::too_large) {
    message.failed = true;
    message.reason = make_error(errc::malformed_result, "the reply is longer than a frame may be");
    fate = late_.send(to, reply_frame, head_of(message));
  }
  if (fate == late_frames::fate::refused)
    end_attachment({to.get(), number}, replies_stuck());
}

void actor_exports::on_link_down(const std::shared_ptr<cluster::channel>& which) {
  std::vector<caf::strong_actor_ptr> gone;
  {
    std::lock_guard guard{mutex_};
    auto begin = attached_.lower_bound({which.get(), 0});
    auto end = begin;
    for (; end != attached_.end() && end->first.first == which.get(); ++end)
      gone.push_back(end->second.stub);
    attached_.erase(begin, end);
  }
  for (const auto& each : gone)
    end_stub(each, make_error(errc::member_lost, which->peer().id + " is gone"));
}

void actor_exports::close() {
  std::vector<std::uint64_t> all;
  {
    std::lock_guard guard{mutex_};
    closed_ = true;
    for (const auto& [number, each] : published_)
      all.push_back(number);
  }
  for (auto each : all)
    withdraw(each, make_error(errc::shutting_down, "the endpoint of the actor is closing"));
}

} // namespace fly::rpc
