#pragma once

#include <exception>
#include <string>

namespace fly::actors {

/// Returns what `thrown` says of itself; "" where that is null, as some exceptions have it.
inline std::string what_of(const std::exception& thrown) {
  const char* text = thrown.what();
  return text == nullptr ? std::string{} : std::string{text};
}

} // namespace fly::actors
