#include "fly/repo/row_text.hpp"

#include <cstddef>
#include <utility>

namespace fly::repo {

namespace {

using row = std::vector<std::optional<std::string>>;

/// What is left to be read.
class row_reader {
public:
  explicit row_reader(std::string_view text) : text_(text) {}

  bool at_end() const { return text_.empty(); }

  std::optional<row> next_row() {
    if (!take('('))
      return std::nullopt;
    row result;
    do {
      if (!next_field(result.emplace_back()))
        return std::nullopt;
    } while (take(','));
    if (!take(')'))
      return std::nullopt;
    return result;
  }

private:
  bool take(char wanted) {
    if (text_.empty() || text_.front() != wanted)
      return false;
    text_.remove_prefix(1);
    return true;
  }

  bool next_field(std::optional<std::string>& field) {
    if (take('"'))
      return quoted(field.emplace());
    auto end = text_.find_first_of(",()\"\\");
    if (end == std::string_view::npos)
      return false;
    if (end > 0)
      field.emplace(text_.substr(0, end));
    text_.remove_prefix(end);
    return true;
  }

  /// Within it a quote and a backslash stand twice.
  bool quoted(std::string& field) {
    for (;;) {
      auto end = text_.find_first_of("\"\\");
      if (end == std::string_view::npos)
        return false;
      field += text_.substr(0, end);
      char special = text_[end];
      text_.remove_prefix(end + 1);
      if (take(special))
        field += special;
      else
        return special == '"';
    }
  }

  std::string_view text_;
};

} // namespace

std::optional<std::vector<row>> parse_rows(std::string_view text) {
  row_reader from{text};
  std::vector<row> result;
  while (!from.at_end()) {
    auto next = from.next_row();
    if (!next)
      return std::nullopt;
    result.push_back(std::move(*next));
  }
  return result;
}

} // namespace fly::repo
