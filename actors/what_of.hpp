#pragma once

#include <exception>
#include <string>

namespace fly::actors {

/// Returns what `thrown` says of itself; "" where that is null, as some exceptions have it.
inline std::string what_of(const std::exception& thrown) {
  const char* text = thrown.what();
  return text == nullptr ? std::string{} : std::string{text};
}

/// Returns what the exception says of itself that is being handled, of whatever type it is. Only
/// within a handler.
inline std::string what_of_thrown() {
  try {
    throw;
  } catch (const std::exception& thrown) {
    return what_of(thrown);
  } catch (...) {
    return "what was thrown is no std::exception";
  }
}

} // namespace fly::actors
