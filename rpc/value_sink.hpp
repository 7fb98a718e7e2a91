#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <caf/serializer.hpp>

#include "fly/cluster/wire.hpp"
#include "fly/rpc/function.hpp"

namespace fly::rpc {

/// Writes values through CAF's `inspect`, in the format of CAF 0.17's binary serializer but for
/// real numbers, which are their IEEE 754 bits: CAF's own way of writing them does not end for an
/// infinity. It has no execution unit: actor handles, nested messages and all else that CAF
/// resolves in an actor system are refused by CAF itself. A pure value.
class value_sink final : public caf::serializer {
public:
  /// Takes what was written out of the sink.
  bytes take() noexcept { return out_.take(); }

  caf::error begin_object(std::uint16_t& type, std::string& name) override;
  caf::error end_object() override;
  caf::error begin_sequence(std::size_t& size) override;
  caf::error end_sequence() override;
  caf::error apply_raw(std::size_t size, void* from) override;

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
  caf::error number(T x);
  template <class T>
  caf::error wide_text(const T& x);

  cluster::wire_writer out_;
};

} // namespace fly::rpc
