#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fly/cluster/channel.hpp"
#include "fly/cluster/wire.hpp"
#include "fly/rpc/message.hpp"

namespace fly::test {

/// A connection whose other end is the test: what was sent is read here.
class fake_link {
public:
  explicit fake_link(std::string id, cluster::channel_limits limits = {})
      : parser_(limits.frame_bytes_max),
        link(std::make_shared<cluster::channel>(
            cluster::member{.id = std::move(id), .region = "ams"}, limits, [] {})) {}

  /// Returns kind and payload of the next frame that was sent, nothing where there is none.
  std::optional<std::pair<cluster::frame_kind, std::vector<char>>> next() {
    auto frame = parser_.next();
    if (!frame || !*frame) {
      sent_.clear();
      link->take(sent_);
      parser_.feed(cluster::bytes_of(sent_));
      frame = parser_.next();
    }
    if (!frame || !*frame)
      return std::nullopt;
    auto payload = rpc::characters((*frame)->payload);
    return std::pair{(*frame)->kind, std::vector<char>{payload.begin(), payload.end()}};
  }

private:
  cluster::frame_parser parser_;
  std::vector<char> sent_;

public:
  const std::shared_ptr<cluster::channel> link;
};

} // namespace fly::test
