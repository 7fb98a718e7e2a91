#pragma once

#include <functional>
#include <string>
#include <vector>

#include <boost/program_options.hpp>

namespace fly::apps {

/// A command line that was read: flags into what they point to, and the rest.
struct words_read {
  /// The words that are no flags.
  std::vector<std::string> words{};
  boost::program_options::variables_map given{};
  /// What is wrong, "" where nothing is.
  std::string problem{};

  bool has(const char* flag) const { return given.count(flag) != 0; }
};

/// Reads `words`; `flags` name the variables that they set.
words_read read_words(const std::vector<std::string>& words,
                      const boost::program_options::options_description& flags);

/// Runs the program and returns its exit code: `exit_failed` where it throws, which is told, and in
/// the place of success where standard output is full or closed: a script would go on without what
/// it asked for.
int finished(const std::function<int()>& program);

/// Tells a mistake in "flycluster COMMAND" and where to find help. Returns `exit_usage`.
int mistake_in(const std::string& command, const std::string& text);

} // namespace fly::apps
