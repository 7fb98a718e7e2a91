// What a session has written or read, it must read ever after.
#include <algorithm>
#include <unordered_set>

#include "fly/testing/index.hpp"

namespace fly::testing {

namespace {

/// One value that a session must see from now on, and why.
struct demand {
  std::string value;
  const event* because;
};

using session_key = std::pair<std::string, std::string>; // session and list

/// What the sessions may expect, event by event.
class sessions {
public:
  explicit sessions(finding_list& into) : into_(into) {}

  void take(const event& each) {
    if (each.session.empty())
      return;
    if (each.action == action::write && each.phase == phase::ok)
      add(each, each.value);
    if (each.action != action::read)
      return;
    if (each.phase == phase::invoke)
      begun_[{each.process, each.call}] = demands_[{each.session, each.key}].size();
    else
      end(each);
  }

private:
  void add(const event& because, const std::string& value) {
    session_key name{because.session, because.key};
    if (known_[name].insert(value).second)
      demands_[name].push_back({value, &because});
  }

  void end(const event& read) {
    auto found = begun_.find({read.process, read.call});
    if (found == begun_.end())
      return;
    auto count = found->second;
    begun_.erase(found);
    if (read.phase != phase::ok)
      return;
    std::unordered_set<std::string> values{read.values.begin(), read.values.end()};
    const auto& all = demands_[{read.session, read.key}];
    for (std::size_t i = 0; i < count; ++i)
      if (!values.contains(all[i].value))
        miss(read, all[i]);
    for (const auto& value : read.values)
      add(read, value);
  }

  void miss(const event& read, const demand& missed) {
    bool written = missed.because->action == action::write;
    into_.add(written ? flaw::stale_read : flaw::read_went_back,
              "session " + read.session + (written ? " wrote '" : " had read '") + missed.value +
                  "' in " + read.key + " and reads a list without it",
              {missed.because, &read});
  }

  finding_list& into_;
  std::map<session_key, std::vector<demand>> demands_;
  std::map<session_key, std::unordered_set<std::string>> known_;
  std::map<std::pair<std::string, std::uint64_t>, std::size_t> begun_;
};

} // namespace

void check_reads(const history& what, finding_list& into) {
  sessions all{into};
  for (const auto& each : what)
    all.take(each);
}

} // namespace fly::testing
