#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <caf/error.hpp>
#include <caf/expected.hpp>
#include <caf/meta/type_name.hpp>

#include "fly/repo/write.hpp"
#include "fly/repo/write_reply.hpp"
#include "fly/rpc/codec.hpp"

namespace pqxx {
class transaction_base;
}

namespace fly::repo {

/// What became of a key: the answer of `database::outcome`. A value; it travels.
struct key_outcome {
  /// Whether a write of this key is committed. If not, none ever will be: a copy that comes later
  /// ends with errc::key_fenced.
  bool committed = false;
  /// The name of the write that was committed, and its signature's fingerprint.
  std::string function{};
  std::uint64_t signature = 0;
  /// Its result, encoded.
  std::string result{};

  /// Returns the result of `f`, which was called with the key. Errors: errc::invalid_argument,
  /// nothing was committed, or another function, or one of another signature;
  /// errc::malformed_result.
  template <class R, class... Args>
  caf::expected<R> as(const write<R(Args...)>& f) const {
    if (auto wrong = check(f.name, write_signature<R, Args...>()))
      return wrong;
    return rpc::decode_result<R>(std::span{result.data(), result.size()});
  }

private:
  caf::error check(std::string_view name, const rpc::signature& wanted) const;
};

template <class Inspector>
auto inspect(Inspector& f, key_outcome& x) {
  return f(caf::meta::type_name("fly::repo::key_outcome"), x.committed, x.function, x.signature,
           x.result);
}

/// Serves `outcome_of_key`: says what became of a key, and fences it where nothing did. Waits for a
/// copy that is running. Throws what libpqxx throws.
caf::expected<key_outcome> settle_key(pqxx::transaction_base& tx, std::string key);

/// What became of a key: what `database::outcome` calls. Every database serves it.
inline constexpr write<key_outcome(std::string)> outcome_of_key{"fly.outcome"};

} // namespace fly::repo
