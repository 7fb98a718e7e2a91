#include "apps/flycluster/words.hpp"

#include <cctype>
#include <exception>
#include <iostream>

#include "apps/flycluster/commands.hpp"

namespace fly::apps {

namespace po = boost::program_options;

namespace {

/// A number below 0 is a word, the argument of a call say, and no flag.
std::vector<po::option> take_negative(std::vector<std::string>& words) {
  const auto& word = words.front();
  if (word.size() < 2 || word[0] != '-' || std::isdigit(static_cast<unsigned char>(word[1])) == 0)
    return {};
  po::option result;
  result.value = {word};
  result.original_tokens = {word};
  words.erase(words.begin());
  return {result};
}

} // namespace

words_read read_words(const std::vector<std::string>& words, const po::options_description& flags) {
  words_read result;
  po::options_description all;
  all.add(flags).add_options()("word", po::value(&result.words));
  po::positional_options_description positional;
  positional.add("word", -1);
  try {
    po::store(po::command_line_parser(words)
                  .options(all)
                  .positional(positional)
                  .extra_style_parser(take_negative)
                  .run(),
              result.given);
    po::notify(result.given);
    // From a script whose variable is not set: it would be another call than was meant.
    for (const char* flag : {"in", "on", "from", "key", "command"})
      if (result.has(flag) && result.given[flag].as<std::string>().empty())
        result.problem = std::string{"--"} + flag + " must not be empty";
  } catch (const po::error& reason) {
    result.problem = reason.what();
  }
  return result;
}

int finished(const std::function<int()>& program) {
  auto code = exit_failed;
  try {
    code = program();
  } catch (const std::exception& reason) { // of the file system, say
    std::cerr << "flycluster: " << reason.what() << '\n';
  }
  std::cout.flush();
  if (std::cout)
    return code;
  std::cerr << "flycluster: not all of the output could be written\n";
  return code == exit_done ? exit_failed : code;
}

int mistake_in(const std::string& command, const std::string& text) {
  std::cerr << "flycluster " << command << ": " << text << "; flycluster " << command
            << " --help tells more\n";
  return exit_usage;
}

} // namespace fly::apps
