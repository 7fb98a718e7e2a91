#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/expected.hpp>

#include "fly/repo/call_options.hpp"
#include "fly/repo/local_read.hpp"
#include "fly/repo/parameter.hpp"
#include "fly/repo/primary_watch.hpp"
#include "fly/repo/read_report.hpp"
#include "fly/repo/result.hpp"
#include "fly/repo/transaction_runner.hpp"
#include "fly/rpc/call.hpp"

namespace fly::rpc {
class endpoint;
}

namespace fly::repo {

class database_core;
struct one_query;

/// Returns the level that the options mean. Errors: errc::invalid_argument, naming the option that
/// cannot be used (level, session, otherwise, patience).
caf::expected<level> level_of(const call_options& options);

/// One read: what its caller wants, and since when.
struct read_call {
  const call_options& options;
  level wanted;
  std::chrono::steady_clock::time_point begun;
  std::chrono::steady_clock::time_point deadline;
  session::moment noted = options.session ? options.session->now() : 0;
};

/// Reads at a level: finds out which positions that takes, where they are, and who else may answer
/// where the local database does not have them. Knows how far the primary was lately. Safe from any
/// thread; each read blocks.
class level_reader {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using read_body = transaction_runner::read_body;

  /// `rpc` outlives it.
  level_reader(const rpc::endpoint& rpc, std::shared_ptr<database_core> core);

  /// Runs `body`, or `one` in its place, on the local database, once it is fresh enough; it cannot
  /// go elsewhere. Notes and reports as the options say. Errors: those of `read_when_there`; of
  /// `bounded` and `strong` also those of asking the primary how far it is.
  caf::error read_here(const read_call& call, const read_body& body,
                       const one_query* one = nullptr);

  /// Runs one statement there, or elsewhere where the options allow it.
  /// Errors: as `read_here`; where elsewhere was in vain, too, the text has both.
  caf::error read_statement(const read_call& call, const std::string& sql,
                            const std::vector<parameter>& parameters, bool repeats, result& into);

private:
  struct statement;

  bool primary_here() const;
  caf::expected<read_wants> wants_of(const read_call& call);
  caf::error read_local(const read_call& call, const read_wants& wants, time_point until,
                        const read_body& body, const one_query* one);
  caf::error ask(const read_call& call, const rpc::target& whom, const read_wants& wants,
                 const statement& what);
  caf::error elsewhere(const read_call& call, const read_wants& wants, const statement& what);
  std::vector<rpc::target> candidates(const read_call& call, const read_wants& wants) const;
  void finish(const read_call& call, read_report report, const std::optional<progress>& seen);

  const rpc::endpoint& rpc_;
  std::shared_ptr<database_core> core_;
  primary_watch primary_;
};

} // namespace fly::repo
