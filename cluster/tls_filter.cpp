#include "fly/cluster/tls_filter.hpp"

#include <algorithm>
#include <cassert>
#include <mutex>
#include <new>
#include <utility>

#include <openssl/err.h>

#include "fly/actors/copy_bytes.hpp"
#include "fly/actors/error.hpp"
#include "fly/cluster/tls_buffers.hpp"
#include "fly/cluster/tls_parts.hpp"

namespace fly::cluster {

namespace {

constexpr std::size_t record_bytes_max = 16 * 1024;
constexpr char exporter_label[] = "EXPORTER-fly-cluster-proof";

} // namespace

struct tls_filter::state {
  std::shared_ptr<const tls_context> trusted; // outlives the session
  tls_buffers buffers;                        // guarded by mutex; outlives the session
  openssl::session_ptr session;
  std::array<char, actors::copied_bytes_max> piece; // of a record, scratch of `open`
  bool is_up = false;                               // guarded by mutex
  bool is_over = false;                             // guarded by mutex
  mutable std::mutex mutex;

  caf::error shake();
  void drain(std::vector<char>& to);
  caf::error failure(const std::string& reason);
};

tls_filter::tls_filter(std::shared_ptr<const tls_context> trusted, side which)
    : state_(std::make_unique<state>()) {
  auto& all = *state_;
  all.trusted = std::move(trusted);
  all.session.reset(SSL_new(all.trusted->all().context.get()));
  auto* bio = make_bio(all.buffers);
  if (!all.session || bio == nullptr) {
    BIO_free(bio);
    throw std::bad_alloc{};
  }
  SSL_set_bio(all.session.get(), bio, bio); // takes it
  if (which == side::dialler)
    SSL_set_connect_state(all.session.get());
  else
    SSL_set_accept_state(all.session.get());
}

tls_filter::~tls_filter() = default;

/// Names what the other side did wrong, or what it says that we did.
caf::error tls_filter::state::failure(const std::string& reason) {
  is_over = true;
  // In TLS 1.3 the dialler is done before its certificate is judged.
  if (reason.find(" alert ") != std::string::npos)
    return make_error(is_up ? errc::member_lost : errc::handshake_failed,
                      "TLS: the peer refuses this node's certificate, or to go on: " + reason);
  if (is_up)
    return make_error(errc::member_lost, "TLS: " + reason);
  auto verdict = SSL_get_verify_result(session.get());
  if (verdict != X509_V_OK)
    return make_error(errc::handshake_failed, std::string{"TLS: the peer's certificate: "} +
                                                  X509_verify_cert_error_string(verdict));
  if (reason == "wrong version number" || reason == "http request" ||
      reason == "packet length too long")
    return make_error(errc::handshake_failed, "TLS: the peer does not speak TLS (" + reason + ")");
  return make_error(errc::handshake_failed, "TLS: " + reason);
}

caf::error tls_filter::state::shake() {
  ERR_clear_error();
  auto done = SSL_do_handshake(session.get());
  if (done == 1) {
    is_up = true;
    return {};
  }
  auto kind = SSL_get_error(session.get(), done);
  if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
    return {};
  return failure(openssl::take_error("the handshake failed"));
}

/// Appends all that OpenSSL has written, and forgets it.
void tls_filter::state::drain(std::vector<char>& to) {
  if (to.empty())
    to.swap(buffers.out);
  else
    actors::append_bytes(to, buffers.out.data(), buffers.out.size());
  buffers.out.clear();
}

caf::error tls_filter::open(std::span<const std::byte> cipher, std::vector<char>& plain) {
  auto& all = *state_;
  std::lock_guard guard{all.mutex};
  if (all.is_over)
    return make_error(errc::member_lost, "TLS: the connection is over");
  all.buffers.in = cipher; // read to its end below, unless the connection is over
  if (!all.is_up) {
    if (auto reason = all.shake())
      return reason;
    if (!all.is_up)
      return {};
  }
  for (;;) {
    ERR_clear_error();
    auto got = SSL_read(all.session.get(), all.piece.data(), static_cast<int>(all.piece.size()));
    if (got > 0) {
      actors::append_bytes(plain, all.piece.data(), static_cast<std::size_t>(got));
      if (all.buffers.in.empty() && SSL_pending(all.session.get()) == 0)
        return {}; // OpenSSL takes one record after the other: there is none left
      continue;
    }
    auto kind = SSL_get_error(all.session.get(), got);
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
      return {};
    if (kind == SSL_ERROR_ZERO_RETURN)
      return all.failure("the peer closed the connection");
    return all.failure(openssl::take_error("the connection failed"));
  }
}

caf::error tls_filter::seal(std::span<const char> plain, std::vector<char>& out) {
  auto& all = *state_;
  std::lock_guard guard{all.mutex};
  if (!all.is_up && !all.is_over)
    if (auto reason = all.shake()) {
      all.drain(out);
      return reason;
    }
  assert(plain.empty() || all.is_up);
  while (!plain.empty()) {
    if (all.is_over)
      return make_error(errc::member_lost, "TLS: the connection is over");
    ERR_clear_error();
    auto size = std::min(plain.size(), record_bytes_max);
    auto put = SSL_write(all.session.get(), plain.data(), static_cast<int>(size));
    if (put <= 0)
      return all.failure(openssl::take_error("cannot encrypt"));
    plain = plain.subspan(static_cast<std::size_t>(put));
  }
  all.drain(out);
  return {};
}

bool tls_filter::is_up() const {
  std::lock_guard guard{state_->mutex};
  return state_->is_up;
}

std::array<std::byte, 32> tls_filter::binding() const {
  std::lock_guard guard{state_->mutex};
  assert(state_->is_up);
  std::array<std::byte, 32> result{};
  [[maybe_unused]] auto done = SSL_export_keying_material(
      state_->session.get(), reinterpret_cast<unsigned char*>(result.data()), result.size(),
      exporter_label, sizeof exporter_label - 1, nullptr, 0, 0);
  assert(done == 1);
  return result;
}

tls_names tls_filter::peer_names() const {
  std::lock_guard guard{state_->mutex};
  openssl::certificate_ptr peer{SSL_get1_peer_certificate(state_->session.get())};
  return peer ? names_in(peer.get()) : tls_names{};
}

} // namespace fly::cluster
