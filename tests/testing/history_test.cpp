// Events as lines: what is written is read again, and nothing else is.
#include <sstream>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/testing/history.hpp"

using namespace fly::testing;
using namespace std::chrono_literals;

TEST_CASE("an event is read as it was written, with all of its fields or with few") {
  event all{.phase = phase::unknown,
            .action = action::write,
            .process = "lax-1/3",
            .call = 17,
            .time = 5s,
            .deadline = 2s,
            .key = "a",
            .value = "say \"x\"\n",
            .values = {"1", "2"},
            .session = "u",
            .once = "k",
            .position = "7.1.0/100",
            .visible = true,
            .note = "late",
            .epoch = 1,
            .fence = 2,
            .number = 3,
            .bound = 18'446'744'073'709'551'615U};

  CHECK(*parse_line(to_line(all)) == all);
  CHECK(*parse_line(to_line({})) == event{});
  CHECK(to_line({}) == R"({"at":0,"do":"call","is":"invoke"})");
}

TEST_CASE("lines that are no events are refused") {
  for (const auto* line :
       {"", "{", "[]", R"({"at":1})", R"({"at":1,"do":"sing","is":"ok"})",
        R"({"at":"x","do":"call","is":"ok"})", R"({"at":1,"do":"call","is":"ok","number":"x"})"})
    CHECK(parse_line(line).error() == fly::errc::invalid_argument);
  auto longest = to_line({.note = std::string(line_bytes_max, 'x')});
  CHECK(parse_line(longest).error() == fly::errc::invalid_argument);
}

TEST_CASE("a file ends where a killed process stopped writing, and names a line that is wrong") {
  auto line = to_line({.time = 1s});
  std::istringstream cut_short{line + "\n" + line.substr(0, 10)};
  std::istringstream wrong{line + "\nnonsense\n"};
  history read;

  CHECK(!read_history(cut_short, read));
  CHECK(read.size() == 1);
  auto reason = read_history(wrong, read);
  CHECK(reason == fly::errc::invalid_argument);
  CHECK(fly::text_of(reason).starts_with("line 2: "));
  CHECK(read.size() == 2);
}

TEST_CASE("events of many files are sorted by time, and what came at once stays in order") {
  history all{{.time = 2s, .key = "c"}, {.time = 1s, .key = "a"}, {.time = 1s, .key = "b"}};

  sort_by_time(all);

  CHECK(all[0].key + all[1].key + all[2].key == "abc");
}
