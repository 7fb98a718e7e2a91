// Proves that the frames between actors come back as they were, errors of every category among
// them, and that no bytes crash the reader.
#include "fly/rpc/letter.hpp"

#include <random>
#include <string>

#include <caf/atom.hpp>
#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>
#include <doctest/doctest.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/wire.hpp"

using namespace fly;
using namespace fly::rpc;
using cluster::bytes_of;

namespace {

caf::error sent(caf::error reason) {
  return parse_ended(bytes_of(head_of(ended_message{1, std::move(reason)})))->reason;
}

template <class T>
void check_read_or_malformed(const caf::expected<T>& parsed) {
  if (!parsed)
    REQUIRE(parsed.error() == errc::malformed_frame);
}

} // namespace

TEST_CASE("the frames of actors are read back") {
  CHECK(parse_attach(bytes_of(head_of(attach_message{9})))->publication == 9);

  auto payload = head_of(letter_message{9, 7, true, {}});
  payload.insert(payload.end(), {'a', 'b'});
  auto letter = parse_letter(bytes_of(payload));
  REQUIRE(letter);
  CHECK(letter->publication == 9);
  CHECK(letter->request == 7);
  CHECK(letter->urgent);
  CHECK(letter->content.size() == 2);

  payload = head_of(reply_message{9, request_max});
  payload.push_back('c');
  auto reply = parse_reply(bytes_of(payload));
  REQUIRE(reply);
  CHECK_FALSE(reply->failed);
  CHECK(reply->request == request_max);
  CHECK(reply->content.size() == 1);

  auto refused = make_error(errc::overloaded, "no", {{"retry_after_ms", "20"}});
  reply = parse_reply(bytes_of(head_of(reply_message{9, 1, true, refused})));
  REQUIRE(reply);
  CHECK(reply->failed);
  CHECK(reply->reason == errc::overloaded);
  CHECK(text_of(reply->reason) == "no");
  CHECK(details_of(reply->reason).at("retry_after_ms") == "20");
}

TEST_CASE("the reason of an end keeps its category, code and text") {
  CHECK(sent(caf::exit_reason::user_shutdown) == caf::exit_reason::user_shutdown);
  CHECK_FALSE(sent(caf::exit_reason::normal));
  CHECK(sent(caf::sec::unexpected_message) == caf::sec::unexpected_message);
  CHECK_FALSE(sent({}));

  caf::error own{3, caf::atom("shop"), caf::make_message(std::string{"closed"})};
  auto read = sent(own);
  CHECK(read.category() == caf::atom("shop"));
  CHECK(read.code() == 3);
  CHECK(read.context().get_as<std::string>(0) == "closed");

  auto failed = sent(make_error(errc::sql_failed, "no", {{"sqlstate", "23505"}}));
  CHECK(failed == errc::sql_failed);
  CHECK(details_of(failed).at("sqlstate") == "23505");
}

TEST_CASE("long texts and many details are cut") {
  error_details many;
  for (std::size_t i = 0; i < 2 * reason_details_max; ++i)
    many[std::to_string(i)] = std::string(2 * reason_bytes_max, 'x');

  auto read = sent(make_error(errc::timeout, std::string(2 * reason_bytes_max, 'y'), many));

  CHECK(text_of(read).size() == reason_bytes_max);
  CHECK(details_of(read).size() == reason_details_max);
  CHECK(details_of(read).begin()->second.size() == reason_bytes_max);
}

TEST_CASE("frames of actors that cannot be are malformed") {
  CHECK(parse_attach(bytes_of(head_of(attach_message{0}))).error() == errc::malformed_frame);
  CHECK(parse_attach({}).error() == errc::malformed_frame);
  CHECK(parse_letter(bytes_of(head_of(letter_message{0, 1, false, {}}))).error() ==
        errc::malformed_frame);
  CHECK(parse_letter(bytes_of(head_of(letter_message{1, request_max + 1, false, {}}))).error() ==
        errc::malformed_frame);
  CHECK(parse_reply(bytes_of(head_of(reply_message{1, 0}))).error() == errc::malformed_frame);
  auto status = head_of(reply_message{1, 1});
  status.back() = 2;
  CHECK(parse_reply(bytes_of(status)).error() == errc::malformed_frame);
  CHECK(parse_ended(bytes_of(head_of(ended_message{0, {}}))).error() == errc::malformed_frame);
}

TEST_CASE("no bytes crash the reader of actors' frames") {
  std::mt19937_64 random{7};
  auto reason = make_error(errc::sql_failed, "no", {{"sqlstate", "23505"}});
  const std::vector<std::vector<char>> all{
      head_of(attach_message{9}), head_of(letter_message{9, 7, true, {}}),
      head_of(reply_message{9, 7, true, reason}), head_of(ended_message{9, reason})};
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = all[random() % all.size()];
    bytes.resize(random() % (bytes.size() + 1));
    for (auto changes = random() % 3; changes > 0 && !bytes.empty(); --changes)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    check_read_or_malformed(parse_attach(bytes_of(bytes)));
    check_read_or_malformed(parse_letter(bytes_of(bytes)));
    check_read_or_malformed(parse_reply(bytes_of(bytes)));
    check_read_or_malformed(parse_ended(bytes_of(bytes)));
  }
}
