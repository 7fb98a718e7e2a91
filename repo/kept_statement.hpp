#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fly::repo {

/// Returns `text` as a literal of SQL that means the same whatever standard_conforming_strings
/// says.
std::string literal(std::string_view text);

/// A statement that a session may keep parsed and planned, and one call of it. PURE. Its texts
/// live for the program.
struct kept_statement {
  std::string_view name;  ///< The same for the same `sql`; begins with "fly_".
  std::string_view types; ///< Of $1 and on, "text, bigint"; empty for none.
  std::string_view sql;
  std::vector<std::string> values{}; ///< Of $1 and on, literals of SQL; at most nine.
};

/// Returns the text that makes a session keep it.
std::string prepare_text(const kept_statement& what);

/// Returns the text that runs it where it is kept.
std::string execute_text(const kept_statement& what);

/// Returns the text that runs it anywhere: `sql` with the values in it.
std::string plain_text(const kept_statement& what);

} // namespace fly::repo
