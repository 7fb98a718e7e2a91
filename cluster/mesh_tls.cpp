// The third part of mesh.hpp: links that are encrypted, and what tells that one side is not.
#include <algorithm>
#include <ctime>
#include <string>
#include <utility>

#include "fly/actors/error.hpp"
#include "fly/cluster/mesh.hpp"

namespace fly::cluster {

namespace {

/// More than any flight of TLS that is not refused, and little for each of `strangers_max`.
constexpr std::size_t unread_max = std::size_t{128} * 1024;

/// Of this thread: a machine that is busy with something else makes no stranger wait longer.
std::chrono::nanoseconds work_until_now() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
}

} // namespace

// -- strangers ------------------------------------------------------------------------------------

/// A step of TLS with a stranger costs a key exchange and a signature, which members on the same
/// thread wait for: strangers take turns.
void mesh::on_strange_bytes(link_id link, connection& from, std::span<const std::byte> bytes) {
  if (waiting_.empty() && now_ >= pace_.free_at())
    return shake(link, from, bytes);
  if (from.unread.size() + bytes.size() > unread_max)
    return give_up(
        link, make_error(errc::handshake_failed, "TLS: more than " + std::to_string(unread_max) +
                                                     " bytes before the handshake was over"));
  if (from.unread.empty())
    waiting_.push_back(link);
  from.unread.insert(from.unread.end(), bytes.begin(), bytes.end());
}

void mesh::shake(link_id link, connection& from, std::span<const std::byte> bytes) {
  auto begun = work_until_now();
  take(link, from, bytes);
  pace_.spent(now_, work_until_now() - begun);
}

mesh::time_point mesh::turn_at() const {
  return waiting_.empty() ? time_point::max() : pace_.free_at();
}

void mesh::take_turn() {
  while (!waiting_.empty() && now_ >= pace_.free_at()) {
    auto link = waiting_.front();
    waiting_.pop_front();
    if (auto from = find(link))
      shake(link, *from, std::exchange(from->unread, {}));
  }
}

// -- bytes ----------------------------------------------------------------------------------------

/// Begins to talk: with TLS itself where the link is encrypted, with the handshake once that is up.
void mesh::greet(link_id link, connection& to) {
  if (to.tls && !to.tls->is_up())
    return write(link, to, {});
  to.greeted = true;
  if (to.tls)
    to.talk.bind(to.tls->binding());
  write(link, to, to.talk.begin());
}

/// Sends bytes of the handshake; once a channel is up everything goes through that.
void mesh::write(link_id link, connection& to, std::span<const char> bytes) {
  std::vector<char> sealed;
  if (to.tls) {
    to.tls->seal(bytes, sealed); // a failure is seen by the next `open`
    bytes = sealed;
  }
  if (!bytes.empty())
    out_.write(link, bytes);
}

/// Turns what came into plain text. What was whole before an error still counts.
caf::error mesh::decrypt(link_id link, connection& from, std::span<const std::byte>& bytes) {
  plain_.clear();
  auto failed = from.tls->open(bytes, plain_);
  bytes = std::as_bytes(std::span{plain_.data(), plain_.size()});
  if (!from.up)
    write(link, from, {});
  if (!failed && !from.greeted && from.tls->is_up())
    greet(link, from);
  return failed;
}

/// Knows TLS by its first record, a handshake or an alert, where a hello was to come.
caf::error mesh::check_plain(connection& from, std::span<const std::byte> bytes) const {
  constexpr std::byte alert{0x15};
  constexpr std::byte hello{0x16};
  constexpr std::byte version{0x03};
  bool first = !std::exchange(from.heard, true);
  if (!first || bytes.size() < 2 || (bytes[0] != alert && bytes[0] != hello) || bytes[1] != version)
    return {};
  return make_error(errc::handshake_failed,
                    "the peer speaks TLS, and this node has no certificate (--tls-cert)");
}

/// Asks the certificate whether the other side may be who it says. Ends the link if not.
bool mesh::may_be_peer(link_id link, connection& from) {
  if (!from.tls)
    return true;
  auto refused = from.tls->peer_names().allow(identity_->cluster, from.talk.peer());
  if (!refused)
    return true;
  write(link, from, refuse_frame(refusal::wrong_certificate));
  give_up(link, refused);
  return false;
}

void mesh::set_tls(std::shared_ptr<const tls_context> trusted) {
  options_.tls = std::move(trusted);
  certificate_due_ = {};
}

/// Links outlive their certificates, so that nobody would see the end of one before the next link
/// is refused: says it once a day, two weeks before, and each hour after.
void mesh::warn_of_certificate() {
  constexpr std::chrono::hours soon{24 * 14};
  auto end = options_.tls->valid_until();
  auto left = end - wall_;
  if (left <= wall_time::duration::zero()) {
    certificate_due_ = wall_ + std::chrono::hours{1};
    options_.log(log_level::error,
                 "this node's certificate has expired, or its authority's: links that are up stay, "
                 "no new one is let in; node.reload_tls() takes a new one");
    return;
  }
  certificate_due_ = left > soon ? end - soon : std::min(end, wall_ + std::chrono::hours{24});
  if (left > soon)
    return;
  auto hours = std::chrono::floor<std::chrono::hours>(left).count();
  options_.log(
      log_level::warning,
      "this node's certificate, or its authority's, expires in " +
          (hours >= 48 ? std::to_string(hours / 24) + " days" : std::to_string(hours) + " h") +
          ": no new link is let in from then on; node.reload_tls() takes a new one");
}

} // namespace fly::cluster
