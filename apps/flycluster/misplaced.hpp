#pragma once

#include <string>
#include <vector>

#include "apps/flycluster/words.hpp"

namespace fly::apps {

/// Returns what is wrong with the flags that stand behind a command which has nothing to do with
/// them: "status takes no --key"; "" where nothing is. A flag that is dropped without a word may be
/// the one that mattered. `words` begins with the command.
std::string misplaced(const std::vector<std::string>& words, const words_read& all);

} // namespace fly::apps
