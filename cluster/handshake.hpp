#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <caf/error.hpp>

#include "fly/cluster/frame.hpp"
#include "fly/cluster/hello.hpp"
#include "fly/cluster/member.hpp"

namespace fly::cluster {

/// Why a connection is refused; crosses the wire in a refuse frame: never renumber.
enum class refusal : std::uint8_t {
  wrong_cluster = 1,     ///< Another cluster's name.
  no_common_version = 2, ///< No version of the wire format that both speak.
  wrong_secret = 3,      ///< The proof does not match, or only one side has a secret.
  same_id = 4,           ///< The dialler has the acceptor's own machine id.
  duplicate = 5,         ///< Another connection between the two stays.
  stale = 6,             ///< A later incarnation of the dialler is known.
  wrong_certificate = 7, ///< The certificate is for another cluster, region or machine.
};

/// Returns a text for logs, "wrong secret".
std::string_view to_string(refusal why) noexcept;

/// What a node is in every handshake.
struct identity {
  member self{};
  std::string cluster{};
  std::string secret{};
  /// A second one that diallers may prove instead; empty for none.
  std::string secret_also{};
  std::uint8_t version_min = wire_version_min;
  std::uint8_t version_max = wire_version_max;
};

/// One side of the handshake of one connection (docs/wire.md). The dialler says hello, the acceptor
/// answers with its own, the dialler proves the secret, the acceptor answers with welcome and its
/// proof. Twice the owner is asked whether to go on, because only it knows of other connections.
/// A pure value: takes frames, gives frames; times are the owner's.
class handshake {
public:
  enum class side : std::uint8_t { dialler, acceptor };

  /// What has happened, and what the owner does.
  enum class event : std::uint8_t {
    wait,       ///< Nothing to decide: send `reply`, wait for the next frame.
    peer_known, ///< Dialler: the acceptor has said who it is. Send `proof_frame()`, or close.
    proved,     ///< Acceptor: the dialler has proved the secret. Send `welcome_frame()`, or refuse.
    established, ///< Dialler: both have proved. The connection is up.
    own,         ///< The dialler is this very process: close both ends without a word.
    failed,      ///< Send `reply`, which may be empty, and close. `reason` says why.
  };

  struct step {
    event what = event::wait;
    /// Whole frames to send; may be empty.
    std::vector<char> reply{};
    /// For `failed`: errc::handshake_failed, errc::malformed_frame.
    caf::error reason{};
    /// For `failed`: the other connection stays, so nothing is wrong.
    bool is_duplicate = false;
  };

  /// `self` is shared by all handshakes of a node. `random` must be fresh.
  handshake(side which, std::shared_ptr<const identity> self, const nonce& random);

  /// Returns the first frame: the dialler's hello, nothing for the acceptor.
  std::vector<char> begin() const;

  /// Binds the proofs to the encrypted connection that they cross (`tls_filter::binding`); before
  /// the first frame.
  void bind(std::span<const std::byte> binding);

  /// Takes the next frame from the other side.
  step on_frame(const frame& received);

  /// Returns the dialler's proof, to be sent after `peer_known`.
  std::vector<char> proof_frame();

  /// Returns the acceptor's welcome, to be sent after `proved`; the connection is up with it.
  std::vector<char> welcome_frame();

  /// Returns who is at the other end; its id is empty before the hello, and proved only after
  /// `proved` or `established`.
  const member& peer() const noexcept { return theirs_.who; }

  /// Returns the nonce that this side has sent, or will.
  const nonce& own_nonce() const noexcept { return mine_.nonce; }

  /// Returns the nonce of the other side; zero before its hello.
  const nonce& peer_nonce() const noexcept { return theirs_.nonce; }

  /// Returns the version that both speak, valid after the peer's hello.
  std::uint8_t version() const noexcept;

private:
  enum class state : std::uint8_t { hello, asked, proof, welcome, done };

  step on_hello(std::span<const std::byte> payload);
  step on_proof(std::span<const std::byte> payload);
  step on_welcome(std::span<const std::byte> payload);
  step fail(refusal why, const std::string& detail);
  step fail(caf::error reason);
  proof prove_as(proof_role role, const std::string& secret) const;

  std::shared_ptr<const identity> self_;
  side side_;
  state state_ = state::hello;
  cluster::hello mine_;
  cluster::hello theirs_;
  std::vector<char> my_bytes_;     // payload of mine_
  std::vector<char> their_bytes_;  // payload of theirs_, as it came
  std::vector<std::byte> binding_; // empty without TLS
  bool proved_also_ = false;       // acceptor: the dialler has proved the second secret
};

/// Returns a refuse frame.
std::vector<char> refuse_frame(refusal why);

} // namespace fly::cluster
