#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <caf/error.hpp>

#include "fly/repo/result.hpp"

struct pg_result; // libpq's PGresult

namespace fly::repo {

/// The rows of a result, each a field or NULL.
using link_rows = std::vector<std::vector<std::optional<std::string>>>;

/// Takes the fields of a row, as text; nothing is NULL. They are valid during the call only.
using fields_sink = std::function<caf::error(std::span<const std::optional<std::string_view>>)>;

struct result_deleter {
  void operator()(pg_result* result) const noexcept;
};

/// A result of libpq's; may outlive its connection.
using result_handle = std::unique_ptr<pg_result, result_deleter>;

/// Returns its rows.
link_rows to_rows(const pg_result& from);

/// Returns all that a statement gave.
result to_result(const pg_result& from);

/// Gives each row to `sink`, until that returns an error, and returns it.
caf::error each_row_of(const pg_result& from, const fields_sink& sink);

} // namespace fly::repo
