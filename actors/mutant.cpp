#include "fly/actors/mutant.hpp"

#ifdef FLY_MUTANTS

#include <cstdlib>
#include <string>

namespace fly {

bool mutant(std::string_view name) noexcept {
  static const auto chosen = [] {
    const char* text = std::getenv("FLY_MUTANT");
    return std::string{text == nullptr ? "" : text};
  }();
  return chosen == name;
}

} // namespace fly

#endif
