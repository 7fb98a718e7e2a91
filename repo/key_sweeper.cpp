#include "fly/repo/key_sweeper.hpp"

#include "fly/repo/ledger.hpp"

namespace fly::repo {

void key_sweeper::sweep(pq_link& link, std::chrono::milliseconds answer_time) {
  using clock = std::chrono::steady_clock;
  constexpr std::chrono::seconds interval{10};
  constexpr std::size_t rows_max = 1000;
  constexpr std::chrono::milliseconds time_max{500};
  auto begun = clock::now();
  if (due_ > begun)
    return;
  due_ = begun + interval;
  while (clock::now() < begun + time_max) {
    auto gone = delete_expired(link, lifetime_, rows_max, clock::now() + answer_time);
    if (!gone || *gone < rows_max)
      return; // without the table, or the right, there is nothing to forget
  }
  due_ = {}; // there is more of it
}

} // namespace fly::repo
