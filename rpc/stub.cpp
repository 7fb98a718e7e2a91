// What depends on the inside of CAF 0.17's actors: its proxies, message ids and mailbox elements.
#include "fly/rpc/stub.hpp"

#include <utility>

#include <caf/actor_addr.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_config.hpp>
#include <caf/actor_proxy.hpp>
#include <caf/actor_system.hpp>
#include <caf/default_attachable.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/make_actor.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>
#include <caf/message_id.hpp>
#include <caf/system_messages.hpp>

namespace fly::rpc {

namespace {

class stub final : public caf::actor_proxy {
public:
  stub(caf::actor_config& config, mail_receiver receiver)
      : caf::actor_proxy(config), receiver_(std::move(receiver)) {}

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override {
    receiver_({what->sender, what->mid.integer_value()}, what->content());
  }

  void kill_proxy(caf::execution_unit* host, caf::error reason) override {
    cleanup(std::move(reason), host);
  }

  const char* name() const override { return "fly.stub"; }

private:
  const mail_receiver receiver_;
};

/// A message that gives its place back when the actor has dealt with it.
class counted_letter final : public caf::mailbox_element {
public:
  counted_letter(caf::strong_actor_ptr&& from, caf::message_id id, caf::message&& content,
                 std::shared_ptr<mailbox_share> share, std::size_t bytes)
      : caf::mailbox_element(std::move(from), id, {}), content_(std::move(content)),
        share_(std::move(share)), bytes_(bytes) {}

  ~counted_letter() override { share_->leave(bytes_); }

  caf::type_erased_tuple& content() override { return content_; }
  const caf::type_erased_tuple& content() const override { return content_; }
  caf::message move_content_to_message() override { return std::move(content_); }
  caf::message copy_content_to_message() const override { return content_; }

private:
  caf::message content_;
  const std::shared_ptr<mailbox_share> share_;
  const std::size_t bytes_;
};

template <class T>
const T* only(const caf::type_erased_tuple& content) {
  return content.size() == 1 && content.match_element<T>(0) ? &content.get_as<T>(0) : nullptr;
}

caf::default_attachable::observe_token token_of(const caf::strong_actor_ptr& watcher) {
  return {caf::actor_cast<caf::actor_addr>(watcher), caf::default_attachable::monitor};
}

} // namespace

bool mail::is_request() const noexcept {
  return caf::message_id{id}.is_request();
}

bool mail::is_response() const noexcept {
  return caf::message_id{id}.is_response();
}

bool mail::is_urgent() const noexcept {
  return caf::message_id{id}.is_urgent_message();
}

std::uint64_t mail::number() const noexcept {
  return caf::message_id{id}.request_id().integer_value();
}

caf::strong_actor_ptr make_stub(caf::actor_system& system, mail_receiver receiver) {
  caf::actor_config config;
  return caf::make_actor<stub, caf::strong_actor_ptr>(system.next_actor_id(), system.node(),
                                                      &system, config, std::move(receiver));
}

void end_stub(const caf::strong_actor_ptr& stub, caf::error reason) {
  static_cast<caf::actor_proxy*>(stub->get())->kill_proxy(nullptr, std::move(reason));
}

void begin_watch(const caf::strong_actor_ptr& whom, const caf::strong_actor_ptr& watcher) {
  whom->get()->attach(caf::default_attachable::make_monitor(
      caf::actor_cast<caf::actor_addr>(whom), caf::actor_cast<caf::actor_addr>(watcher)));
}

void end_watch(const caf::strong_actor_ptr& whom, const caf::strong_actor_ptr& watcher) {
  whom->get()->detach(token_of(watcher));
}

const caf::error* down_reason(const caf::type_erased_tuple& content) {
  const auto* down = only<caf::down_msg>(content);
  return down == nullptr ? nullptr : &down->reason;
}

const caf::error* error_in(const caf::type_erased_tuple& content) {
  return only<caf::error>(content);
}

bool is_exit(const caf::type_erased_tuple& content) {
  return only<caf::exit_msg>(content) != nullptr;
}

void respond(const mail& what, const caf::strong_actor_ptr& from, caf::message content) {
  if (what.sender && what.is_request())
    what.sender->enqueue(from, caf::message_id{what.id}.response_id(), std::move(content), nullptr);
}

void respond(const mail& what, const caf::strong_actor_ptr& from, caf::error reason) {
  respond(what, from, caf::make_message(std::move(reason)));
}

bool mailbox_share::enter(std::size_t bytes) noexcept {
  // Only the I/O thread enters: what it has read can only have become less.
  if (messages_ >= messages_max || bytes_ >= bytes_max)
    return false;
  ++messages_;
  bytes_ += bytes;
  return true;
}

void mailbox_share::leave(std::size_t bytes) noexcept {
  --messages_;
  bytes_ -= bytes;
}

void deliver(const caf::strong_actor_ptr& to, caf::strong_actor_ptr from, std::uint64_t request,
             bool urgent, caf::message content, std::shared_ptr<mailbox_share> share,
             std::size_t bytes) {
  caf::message_id id{request};
  if (!urgent)
    id = id.with_normal_priority();
  to->enqueue(caf::mailbox_element_ptr{new counted_letter{std::move(from), id, std::move(content),
                                                          std::move(share), bytes}},
              nullptr);
}

} // namespace fly::rpc
