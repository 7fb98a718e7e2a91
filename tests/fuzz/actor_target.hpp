#pragma once

#include <span>
#include <string>
#include <vector>

namespace fly::fuzz {

/// Bytes as each of the frames that actors of two members send each other.
void letters(std::span<const char> input);

/// Bytes as a message for an actor.
void parcel(std::span<const char> input);

/// Inputs to begin with, well-formed.
std::vector<std::string> letter_seeds();
std::vector<std::string> parcel_seeds();

} // namespace fly::fuzz
