#include "tests/faults/report.hpp"

#include <fstream>
#include <iomanip>
#include <iostream>

#include <nlohmann/json.hpp>

namespace fly::faults {

namespace {

std::string text(const std::optional<milliseconds>& time) {
  return time ? std::to_string(time->count()) : "-";
}

void print_line(const std::string& fault, const std::string& notice, const std::string& heal,
                const std::string& verdict, const std::string& note) {
  std::cout << std::left << std::setw(34) << fault << std::right << std::setw(10) << notice
            << std::setw(10) << heal << "  " << std::left << std::setw(7) << verdict << note
            << std::endl;
}

void print_row(const row& each) {
  print_line(each.fault, text(each.notice), text(each.heal), each.broken.empty() ? "ok" : "BROKEN",
             each.note);
  for (const auto& what : each.broken)
    std::cout << "    not so: " << what << std::endl;
}

} // namespace

void row::expect_within(const std::optional<milliseconds>& took, milliseconds limit,
                        const std::string& what) {
  auto wanted = what + " within " + std::to_string(limit.count()) + " ms";
  expect(took && *took <= limit, took ? wanted + ", it took " + text(took) : wanted);
}

void print(const std::vector<row>& rows) {
  std::cout << '\n';
  print_line("fault", "notice ms", "heal ms", "", "");
  for (const auto& each : rows)
    print_row(each);
}

void print_progress(const row& each) {
  std::cerr << each.fault << ": " << (each.broken.empty() ? "ok" : "BROKEN") << std::endl;
  for (const auto& what : each.broken)
    std::cerr << "  not so: " << what << std::endl;
}

void write_json(const std::vector<row>& rows, unsigned seed, const std::string& file) {
  auto list = nlohmann::json::array();
  for (const auto& each : rows) {
    nlohmann::json it{{"fault", each.fault}, {"note", each.note}, {"broken", each.broken}};
    it["notice_ms"] = each.notice ? nlohmann::json(each.notice->count()) : nlohmann::json();
    it["heal_ms"] = each.heal ? nlohmann::json(each.heal->count()) : nlohmann::json();
    list.push_back(std::move(it));
  }
  std::ofstream{file} << nlohmann::json{{"rows", list}, {"seed", seed}}.dump(2) << '\n';
}

} // namespace fly::faults
