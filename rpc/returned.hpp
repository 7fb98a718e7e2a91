#pragma once

#include <caf/error.hpp>

namespace fly::rpc {

/// Returns an error that a function has returned or thrown as one of that function, which has run:
/// where it says that nothing ran, or that nobody knows, it gets the detail `returned_detail`, its
/// effect is unknown, and nobody asks another member for that reason.
caf::error as_returned(const caf::error& reason);

/// The same of a function whose transaction is rolled back: that nothing remains stays true, but
/// for what a call within was told (its member serves no such name, is full, is not the primary, is
/// closing, was lost).
caf::error as_rolled_back(const caf::error& reason);

} // namespace fly::rpc
