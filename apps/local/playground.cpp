#include "apps/local/playground.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "apps/local/playground_parts.hpp"

namespace fly::local {

using nlohmann::json;

playground::playground(playground_options options, std::function<void()> checkpoint)
    : parts_(std::make_unique<parts>(std::move(options), std::move(checkpoint))) {}

playground::~playground() = default;

const playground_state& playground::state() const noexcept {
  return parts_->state();
}

std::vector<std::string> playground::look() {
  return parts_->look();
}

const std::vector<std::string>& playground::silent_regions() const noexcept {
  return parts_->silent();
}

fault_result playground::begin(const fault& what) {
  return parts_->begin(what);
}

fault_result playground::end(const fault_choice& which) {
  return parts_->end(which);
}

int playground::door() const {
  return parts_->door().descriptor();
}

void playground::serve() {
  parts_->door().serve([this](const std::string& question) {
    fault_result result;
    try {
      auto asked = json::parse(question);
      result = asked.contains("begin") ? begin(fault_from(asked.at("begin")))
                                       : end(choice_from(asked.at("end")));
    } catch (const json::exception& reason) {
      result.problem = std::string{"the keeper does not understand: "} + reason.what();
    }
    return to_json(result).dump();
  });
}

namespace {

fault_result ask(const std::filesystem::path& folder, const json& question) {
  try {
    return result_from(json::parse(ask_keeper(folder, question.dump())));
  } catch (const json::exception& reason) {
    return {.problem = std::string{"the keeper's answer cannot be read: "} + reason.what()};
  }
}

} // namespace

fault_result ask_to_begin(const std::filesystem::path& folder, const fault& what) {
  return ask(folder, {{"begin", to_json(what)}});
}

fault_result ask_to_end(const std::filesystem::path& folder, const fault_choice& which) {
  return ask(folder, {{"end", to_json(which)}});
}

} // namespace fly::local
