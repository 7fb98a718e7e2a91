#include "fly/rpc/type_text.hpp"

#include <algorithm>

namespace fly::rpc::detail {

namespace {

/// Keeps what the grammar allows in a name: letters, digits, "_", "." and "::".
std::string plain_name(std::string_view name) {
  std::string result;
  for (std::size_t i = 0; i < name.size(); ++i) {
    auto c = name[i];
    if (c == ':' && name.substr(i, 2) == "::" && i + 2 < name.size() && i > 0) {
      result += "::";
      ++i;
      continue;
    }
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '_' || c == '.';
    result += plain ? c : '_';
  }
  return result.empty() ? "struct" : result;
}

} // namespace

void type_writer::comma() {
  if (auto last = out_.empty() ? '(' : out_.back(); last != '(' && last != '{')
    out_ += ',';
}

bool type_writer::repeats(const void* key) {
  auto found = std::find_if(enclosing_.rbegin(), enclosing_.rend(),
                            [key](const level& each) { return each.key == key; });
  if (found == enclosing_.rend())
    return false;
  out_ += '^' + std::to_string(found - enclosing_.rbegin());
  return true;
}

void type_writer::name_object(std::size_t at) {
  out_.insert(at, plain_name(enclosing_.back().name));
}

} // namespace fly::rpc::detail
