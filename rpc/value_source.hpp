#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <caf/deserializer.hpp>

#include "fly/cluster/wire.hpp"

namespace fly::rpc {

/// Reads what value_sink has written, from bytes that a stranger may have made up. Beyond CAF's own
/// source it refuses a sequence of more elements than the rest of the
/// bytes has bits (the smallest element is one bit of a std::vector<bool>), so that no loop or
/// buffer outgrows the frame by more than that, and sequences within sequences beyond `depth_max`.
/// It has no execution unit: actor handles, nested messages and all else that CAF resolves in an
/// actor system are refused by CAF itself. A pure value.
class value_source final : public caf::deserializer {
public:
  /// Deepest nesting of sequences, and so of types that contain themselves.
  static constexpr std::size_t depth_max = 64;

  /// Borrows the bytes.
  explicit value_source(std::span<const std::byte> bytes) noexcept : in_(bytes) {}

  /// Returns whether everything was there and nothing is left.
  bool is_complete() const noexcept { return in_.complete(); }

  caf::error begin_object(std::uint16_t& type, std::string& name) override;
  caf::error end_object() override;
  caf::error begin_sequence(std::size_t& size) override;
  caf::error end_sequence() override;
  caf::error apply_raw(std::size_t size, void* to) override;

protected:
  caf::error apply_impl(std::int8_t& x) override;
  caf::error apply_impl(std::uint8_t& x) override;
  caf::error apply_impl(std::int16_t& x) override;
  caf::error apply_impl(std::uint16_t& x) override;
  caf::error apply_impl(std::int32_t& x) override;
  caf::error apply_impl(std::uint32_t& x) override;
  caf::error apply_impl(std::int64_t& x) override;
  caf::error apply_impl(std::uint64_t& x) override;
  caf::error apply_impl(float& x) override;
  caf::error apply_impl(double& x) override;
  caf::error apply_impl(long double& x) override;
  caf::error apply_impl(std::string& x) override;
  caf::error apply_impl(std::u16string& x) override;
  caf::error apply_impl(std::u32string& x) override;

private:
  template <class T>
  caf::error number(T& x);
  template <class T>
  caf::error wide_text(T& x);

  cluster::wire_reader in_;
  std::size_t depth_ = 0; // sequences that have begun and not ended, <= depth_max
};

} // namespace fly::rpc
