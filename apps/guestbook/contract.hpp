#pragma once

#include <cstdint>
#include <string>

#include <caf/meta/type_name.hpp>

#include "fly/repo/write.hpp"
#include "fly/rpc/function.hpp"

/// All that the nodes of the guestbook may ask one another.
namespace guestbook {

/// One line in the book.
struct entry {
  std::int64_t id = 0;
  std::string author;
  std::string text;
  /// The region whose node took the request.
  std::string region;
  /// "2026-08-01 12:00:00", UTC, by the primary's clock.
  std::string created;
};

template <class Inspector>
auto inspect(Inspector& f, entry& x) {
  return f(caf::meta::type_name("guestbook::entry"), x.id, x.author, x.text, x.region, x.created);
}

/// Author, text, region.
inline constexpr fly::repo::write<entry(std::string, std::string, std::string)> sign{
    "guestbook.sign"};
/// Makes the table; running it again changes nothing.
inline constexpr fly::repo::write<bool()> create_tables{"guestbook.create_tables"};
/// Runs anywhere and shows that calls by name work.
inline constexpr fly::rpc::function<std::string(std::string)> shout{"guestbook.shout"};

} // namespace guestbook
