#pragma once

#include <caf/error.hpp>

namespace fly::rpc {

/// Returns an error that a function has returned or thrown as one of that function. What a call
/// within was told (its member serves no such name, is full, is not the primary, is closing) is not
/// true of the function itself, which has run: nobody may ask another member for that reason.
caf::error as_returned(const caf::error& reason);

} // namespace fly::rpc
