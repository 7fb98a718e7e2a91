#pragma once

#include <charconv>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <boost/any.hpp>
#include <boost/program_options/value_semantic.hpp>

namespace fly::cluster {

/// A whole number from 0 on, as a flag has it. Boost.Program_options reads "-1" into an unsigned
/// type as its largest value; this one is refused. A value.
template <class T>
struct flag_number {
  T value{};
};

/// Finds its way to Boost by argument-dependent lookup. Throws po::invalid_option_value.
template <class T>
void validate(boost::any& into, const std::vector<std::string>& given, flag_number<T>*, int) {
  namespace po = boost::program_options;
  po::validators::check_first_occurrence(into);
  const auto& text = po::validators::get_single_string(given);
  flag_number<T> result;
  auto end = text.data() + text.size();
  auto [rest, problem] = std::from_chars(text.data(), end, result.value);
  if (problem != std::errc{} || rest != end)
    throw po::invalid_option_value{text};
  into = result;
}

/// Returns the description of a flag that hands its number to `assign`; `now` is shown as what
/// holds without it, with its unit or kind `name`.
template <class T, class Assign>
boost::program_options::typed_value<flag_number<T>>* number_flag(const char* name, T now,
                                                                 Assign assign) {
  return boost::program_options::value<flag_number<T>>()
      ->value_name(name)
      ->default_value({now}, std::to_string(now))
      ->notifier([assign = std::move(assign)](const flag_number<T>& it) { assign(it.value); });
}

} // namespace fly::cluster
