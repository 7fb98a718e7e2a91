#include "fly/repo/level.hpp"

#include <array>
#include <charconv>
#include <optional>

#include "fly/actors/error.hpp"

namespace fly::repo {

namespace {

constexpr std::string_view bounded_begin = "bounded(";

constexpr std::array<std::string_view, 3> ways{"wait", "replica", "primary"};

/// Reads "2s" or "2000ms", up to `lag_max`.
std::optional<std::chrono::milliseconds> parse_lag(std::string_view text) {
  std::int64_t number = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  std::int64_t factor = unit == "ms" ? 1 : 1000;
  if (code != std::errc{} || number < 1 || number > level::lag_max.count() / factor ||
      (unit != "ms" && unit != "s"))
    return std::nullopt;
  return std::chrono::milliseconds{number * factor};
}

} // namespace

caf::error level::check() const {
  if (kind_ > kind::strong)
    return make_error(errc::invalid_argument,
                      "level " + std::to_string(static_cast<int>(kind_)) + " is none");
  if (kind_ == kind::bounded && (lag_.count() < 1 || lag_ > lag_max))
    return make_error(errc::invalid_argument, "level bounded(" + std::to_string(lag_.count()) +
                                                  "ms): the lag must be 1 ms to 1 h");
  return {};
}

std::string to_string(const level& which) {
  switch (which.kind()) {
  case level::kind::eventual:
    return "eventual";
  case level::kind::session:
    return "session";
  case level::kind::bounded:
    return std::string{bounded_begin} + std::to_string(which.lag().count()) + "ms)";
  case level::kind::strong:
    break;
  }
  return "strong";
}

caf::expected<level> parse_level(std::string_view text) {
  for (const auto& it : {level::eventual, level::session, level::strong})
    if (to_string(it) == text)
      return it;
  if (text.starts_with(bounded_begin) && text.ends_with(')')) {
    auto inner = text.substr(bounded_begin.size());
    if (auto lag = parse_lag(inner.substr(0, inner.size() - 1)))
      return level::bounded(*lag);
  }
  return make_error(errc::invalid_argument,
                    "level \"" + std::string{text.substr(0, 80)} +
                        "\": expected eventual, session, strong or bounded(2s)");
}

std::string to_string(otherwise what) {
  auto index = static_cast<std::size_t>(what);
  return index < ways.size() ? std::string{ways[index]}
                             : "otherwise(" + std::to_string(index) + ")";
}

caf::expected<otherwise> parse_otherwise(std::string_view text) {
  for (std::size_t i = 0; i < ways.size(); ++i)
    if (ways[i] == text)
      return static_cast<otherwise>(i);
  return make_error(errc::invalid_argument, "otherwise \"" + std::string{text.substr(0, 80)} +
                                                "\": expected wait, replica or primary");
}

} // namespace fly::repo
