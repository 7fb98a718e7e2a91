#include "fly/repo/sighting.hpp"

#include <algorithm>

namespace fly::repo {

void sighting::add(const server_identity& other, const progress& theirs, time_point when) {
  if (!same_server(server, other) || seen.in_recovery != theirs.in_recovery ||
      seen.timeline != theirs.timeline || theirs.lsn < seen.lsn)
    return;
  asked = theirs.lsn == seen.lsn ? std::max(asked, when) : when;
  seen.lsn = theirs.lsn;
}

} // namespace fly::repo
