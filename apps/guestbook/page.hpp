#pragma once

namespace guestbook {

/// The service's only page: entries, members, and how long the last write took by part. It asks
/// `/entries` and `/status` every second.
extern const char* const page;

} // namespace guestbook
