#pragma once

#include "fly/repo/reading_verbs.hpp"
#include "fly/repo/writing_verbs.hpp"

namespace fly::repo {

namespace detail {
template <class R>
using as_it_is = R;
} // namespace detail

/// The verbs inside an open transaction: in a `write<>`, where all of them are one commit, or in
/// `database::read`, where those that write fail (25006). Borrows the transaction.
///
///     db.serve(move, [](pqxx::transaction_base& tx, std::int64_t from, std::int64_t to) {
///       fly::repo::within rows{tx};
///       auto order = must(rows.get<shop::order>(from));
///
/// What fails in the database throws, as libpqxx does; the rest is in the value. Not safe to share
/// between threads.
class within : public reading_verbs<within>, public writing_verbs<within, detail::as_it_is> {
public:
  explicit within(pqxx::transaction_base& tx) : tx_(&tx) {}

  pqxx::transaction_base& transaction() const noexcept { return *tx_; }

private:
  pqxx::transaction_base* tx_;
};

} // namespace fly::repo
