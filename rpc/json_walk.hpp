#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "fly/rpc/json_codec.hpp"
#include "fly/rpc/signature.hpp"

namespace fly::rpc::detail {

/// What both directions share: the objects around a place, the bounds, the first failure.
class json_walk {
public:
  std::string failure;

protected:
  bool fail(std::string text) {
    if (failure.empty())
      failure = std::move(text);
    return false;
  }

  bool enter() {
    if (++depth_ > json_depth_max)
      return fail("nested too deep");
    return ++values_ <= json_values_max || fail("too many values");
  }

  bool leave() { return --depth_, true; }

  /// Runs `f` inside the object `node`.
  template <class F>
  bool inside(const type_node& node, F f) {
    objects_.push_back(&node);
    bool done = f();
    objects_.pop_back();
    return done;
  }

  /// Returns the object that `node`, an `again`, stands for, and runs `f` on it in its own place.
  template <class F>
  bool again(const type_node& node, F f) {
    if (node.size >= objects_.size())
      return fail("a type names an object that is not around it");
    auto keep = objects_.size() - 1 - node.size;
    std::vector<const type_node*> inner{objects_.begin() + static_cast<std::ptrdiff_t>(keep) + 1,
                                        objects_.end()};
    const auto& object = *objects_[keep];
    objects_.resize(keep);
    bool done = f(object);
    objects_.push_back(&object);
    objects_.insert(objects_.end(), inner.begin(), inner.end());
    return done;
  }

private:
  std::vector<const type_node*> objects_; // around this place
  std::size_t depth_ = 0;
  std::size_t values_ = 0;
};

} // namespace fly::rpc::detail
