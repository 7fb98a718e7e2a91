#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fly/rpc/function.hpp"

/// The contract that the tests of this floor share, as a user writes one.
namespace shop {

enum class size : std::uint8_t { small = 1, large = 2 };

struct order {
  std::int64_t id = 0;
  std::string item;
  std::int32_t count = 0;

  friend bool operator==(const order&, const order&) = default;
};

template <class Inspector>
auto inspect(Inspector& f, order& x) {
  return f(caf::meta::type_name("shop::order"), x.id, x.item, x.count);
}

/// A type that contains itself.
struct shelf {
  std::string label;
  std::vector<shelf> shelves;
  std::map<std::string, order> orders;
  std::optional<double> width;
  size kind = size::small;

  friend bool operator==(const shelf&, const shelf&) = default;
};

template <class Inspector>
auto inspect(Inspector& f, shelf& x) {
  return f(caf::meta::type_name("shop::shelf"), x.label, x.shelves, x.orders, x.width, x.kind);
}

inline shelf full_shelf() {
  shelf inner{"inner", {}, {{"pen", {1, "pen", 2}}, {"ink", {-1, "", 0}}}, {}, size::large};
  return {"outer", {inner, {}}, {{"", {INT64_MIN, "\xff\n\"", INT32_MAX}}}, -0.75, size::small};
}

inline constexpr fly::rpc::function<std::string(std::string)> shout{"shop.shout"};
inline constexpr fly::rpc::function<order(std::string, std::int32_t)> place{"shop.place"};
inline constexpr fly::rpc::function<void()> close_day{"shop.close_day"};

} // namespace shop
