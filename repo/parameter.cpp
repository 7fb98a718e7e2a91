#include "fly/repo/parameter.hpp"

#include "fly/actors/error.hpp"
#include "fly/actors/must.hpp"

namespace fly::repo {

caf::error check_parameters(const std::vector<parameter>& given) {
  if (given.size() > parameters_max)
    return make_error(errc::invalid_argument, "a statement with " + std::to_string(given.size()) +
                                                  " parameters, more than " +
                                                  std::to_string(parameters_max));
  for (std::size_t i = 0; i < given.size(); ++i)
    if (given[i] && given[i]->find('\0') != std::string::npos)
      return make_error(errc::invalid_argument,
                        "parameter $" + std::to_string(i + 1) +
                            " has a zero byte, which PostgreSQL's texts do not take");
  return {};
}

void must_be_texts(const std::string& sql, const std::vector<parameter>& given) {
  if (auto at = sql.find('\0'); at != std::string::npos)
    throw failure{make_error(errc::invalid_argument, "the statement has a zero byte behind " +
                                                         std::to_string(at) + " bytes")};
  if (auto wrong = check_parameters(given))
    throw failure{std::move(wrong)};
}

} // namespace fly::repo
