#include "fly/repo/transaction_fate.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "fly/actors/error.hpp"

namespace fly::repo {

namespace {

/// Of the tag "INSERT 0 1" the first word says it.
bool is_of_rows(std::string_view tag) {
  constexpr std::array<std::string_view, 8> known{"SELECT", "INSERT",    "UPDATE",  "DELETE",
                                                  "MERGE",  "SAVEPOINT", "RELEASE", "FETCH"};
  return std::find(known.begin(), known.end(), tag.substr(0, tag.find(' '))) != known.end();
}

} // namespace

bool leaves_something(const own_end& what) {
  return what.committed || what.went_on || what.by == "PREPARE TRANSACTION";
}

caf::error error_of_end(const own_end& what) {
  auto text = "the function ended its transaction itself, by " + what.by + ": ";
  error_details details{{"ended_by", what.by}};
  bool known = true;
  if (what.by == "PREPARE TRANSACTION") {
    text +=
        "it holds its locks, and is neither committed nor rolled back, until COMMIT PREPARED or "
        "ROLLBACK PREPARED";
    known = false;
  } else if (what.committed) {
    text += "what it had done before is committed";
    details.emplace("committed", "yes");
  } else {
    text += "what it had done before is rolled back";
    known = !what.went_on;
  }
  if (what.went_on)
    text += "; what it did after, in no transaction, may be committed";
  return make_error(known ? errc::function_failed : errc::outcome_unknown, std::move(text),
                    std::move(details));
}

void transaction_fate::begin(bool in_savepoint) {
  *this = {};
  savepoints_ = in_savepoint;
}

void transaction_fate::warned(std::string_view sqlstate) {
  if (sqlstate == "25P01" || sqlstate == "25001")
    warning_ = sqlstate;
}

void transaction_fate::succeeded(std::string_view tag) {
  auto warning = std::exchange(warning_, {});
  bool after_error = std::exchange(failed_, false);
  if (tag == "COMMIT" || tag == "ROLLBACK" || tag == "PREPARE TRANSACTION") {
    if (warning == "25P01")
      was_outside();
    else
      ends(tag, after_error);
    ran_ = false;
  } else if (tag == "BEGIN" || tag == "START TRANSACTION") {
    // Within a transaction it only warns, and a session may be told to keep warnings to itself.
    touched_session_ = true; // its modes count all the same
    if (warning == "25001" || (ended_by_.empty() && !doubtful_))
      return;
    was_outside();
    begun_ = true;
  } else {
    savepoints_ = savepoints_ || tag == "SAVEPOINT";
    touched_session_ = touched_session_ || !is_of_rows(tag);
    ran_ = true;
  }
}

void transaction_fate::ends(std::string_view tag, bool after_error) {
  if (ended_by_.empty()) {
    after_error_ = after_error && tag == "ROLLBACK";
    doubtful_ = tag == "ROLLBACK" && savepoints_; // perhaps to one of them
    if (doubtful_)
      return;
    ended_by_ = tag;
  }
  committed_ = committed_ || tag == "COMMIT";
  begun_ = false;
}

/// No transaction was open since the last ROLLBACK or COMMIT.
void transaction_fate::was_outside() {
  if (ended_by_.empty())
    ended_by_ = "ROLLBACK";
  went_on_ = went_on_ || ran_;
  ran_ = false;
}

std::optional<own_end> transaction_fate::ended(std::optional<bool> open) const {
  if (ended_by_.empty() && open.value_or(true))
    return std::nullopt;
  own_end result{.by = ended_by_.empty() ? "ROLLBACK" : ended_by_,
                 .committed = committed_,
                 .went_on = went_on_ || (ran_ && !begun_ && open != true),
                 .after_error = after_error_};
  if (open == true && !begun_)
    result.by += " AND CHAIN";
  return result;
}

} // namespace fly::repo
