#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/tls_context.hpp"
#include "fly/cluster/tls_names.hpp"

namespace fly::cluster {

/// TLS for one connection, over memory alone: cipher text in, plain text out, and the other way
/// round. Knows no socket and no clock. One thread may `open` while another one seals; what is
/// sealed leaves in the order of the calls.
class tls_filter {
public:
  enum class side : std::uint8_t { dialler, acceptor };

  tls_filter(std::shared_ptr<const tls_context> trusted, side which);
  ~tls_filter();

  tls_filter(const tls_filter&) = delete;
  tls_filter& operator=(const tls_filter&) = delete;

  /// Takes what came from the other side, and appends the plain text in it to `plain`. What TLS
  /// itself has to answer is fetched with `seal`, also after an error: the other side is told why.
  /// Errors, and the connection is over: errc::handshake_failed before `is_up`, errc::member_lost
  /// after; the text says what is wrong, where that is known with whose certificate.
  caf::error open(std::span<const std::byte> cipher, std::vector<char>& plain);

  /// Appends to `out` what TLS itself has to say, and `plain` as cipher text. The plain text is
  /// empty until `is_up`. Errors: errc::member_lost, the connection is over.
  caf::error seal(std::span<const char> plain, std::vector<char>& out);

  /// Returns whether the handshake of TLS is done: both certificates hold.
  bool is_up() const;

  /// Returns 32 bytes that only the two ends of this very connection know (RFC 9266's purpose, by
  /// an exporter label of ours): bound into the proof of the secret, nobody can stand between.
  /// After `is_up`.
  std::array<std::byte, 32> binding() const;

  /// Returns the names in the other side's certificate. After `is_up`.
  tls_names peer_names() const;

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace fly::cluster
