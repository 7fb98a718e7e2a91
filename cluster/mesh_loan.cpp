// The fourth part of mesh.hpp: links that callers read themselves, and what they leave.
#include <utility>
#include <vector>

#include "fly/cluster/mesh.hpp"

namespace fly::cluster {

void mesh::drain(link_id link) {
  auto what = find(link);
  if (!what || !what->up)
    return;
  out_.drain(link, what->up);
  auto& reading = what->up->reading();
  if (reading.is_given_back())
    take_left(link, *what, reading.take_turn());
  else if (reading.take_wish())
    out_.pause_reading(link);
}

void mesh::on_paused(link_id link) {
  auto what = find(link);
  if (!what)
    return;
  std::unique_ptr<inlet> from;
  try {
    if (what->up && what->parser.is_between_frames())
      from = out_.open_inlet(link);
  } catch (...) { // no memory, say: the link is read on
    out_.resume_reading(link);
    throw;
  }
  if (from)
    what->up->reading().lend(std::move(from));
  else
    out_.resume_reading(link);
}

void mesh::on_unread(link_id link) {
  if (auto what = find(link); what && what->up)
    take_left(link, *what, what->up->reading().take_turn());
}

/// Deals with what readers have left, before anything else of the link is read.
void mesh::take_left(link_id link, connection& from, std::optional<reading_loan::rest> left) {
  if (!left)
    return;
  if (left->is_over) {
    out_.resume_reading(link);
    return take_plain(link, from, left->bytes, left->broken);
  }
  try {
    take_plain(link, from, left->bytes, left->broken);
  } catch (...) { // no memory, say: the link is read on, as by CAF
    from.up->reading().go_on();
    throw;
  }
  from.up->reading().go_on();
}

void mesh::take_back_late() {
  std::vector<std::pair<link_id, reading_loan::rest>> late;
  for (const auto& [link, what] : connections_)
    if (what->up)
      if (auto left = what->up->reading().take_back_late(now_))
        late.emplace_back(link, std::move(*left));
  for (auto& [link, left] : late) // each may end others
    if (auto what = find(link))
      take_left(link, *what, std::move(left));
}

} // namespace fly::cluster
