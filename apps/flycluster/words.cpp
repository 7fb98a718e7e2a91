#include "apps/flycluster/words.hpp"

#include <iostream>

#include "apps/flycluster/commands.hpp"

namespace fly::apps {

namespace po = boost::program_options;

words_read read_words(const std::vector<std::string>& words, const po::options_description& flags) {
  words_read result;
  po::options_description all;
  all.add(flags).add_options()("word", po::value(&result.words));
  po::positional_options_description positional;
  positional.add("word", -1);
  try {
    po::store(po::command_line_parser(words).options(all).positional(positional).run(),
              result.given);
    po::notify(result.given);
  } catch (const po::error& reason) {
    result.problem = reason.what();
  }
  return result;
}

int mistake_in(const std::string& command, const std::string& text) {
  std::cerr << "flycluster " << command << ": " << text << "; flycluster " << command
            << " --help tells more\n";
  return exit_usage;
}

} // namespace fly::apps
