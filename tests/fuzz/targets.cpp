#include "tests/fuzz/targets.hpp"

#include <map>
#include <optional>
#include <string_view>

#include "fly/actors/error.hpp"
#include "fly/cluster/address.hpp"
#include "fly/cluster/beat.hpp"
#include "fly/cluster/discovery.hpp"
#include "fly/cluster/frame.hpp"
#include "fly/cluster/hello.hpp"
#include "fly/repo/hex.hpp"
#include "fly/repo/level.hpp"
#include "fly/repo/position.hpp"
#include "fly/repo/row_text.hpp"
#include "fly/repo/session_cookie.hpp"
#include "fly/repo/timeline_history.hpp"
#include "fly/repo/token.hpp"
#include "fly/repo/write_reply.hpp"
#include "fly/rpc/codec.hpp"
#include "fly/rpc/json_codec.hpp"
#include "fly/rpc/message.hpp"
#include "fly/rpc/registry.hpp"
#include "fly/rpc/signature.hpp"
#include "tests/fuzz/actor_target.hpp"
#include "tests/fuzz/database_url_target.hpp"
#include "tests/fuzz/expect.hpp"
#include "tests/fuzz/handshake_target.hpp"
#include "tests/fuzz/tls_target.hpp"

namespace fly::fuzz {

namespace {

using input = std::span<const char>;

std::string_view text(input in) {
  return {in.data(), in.size()};
}

std::span<const std::byte> bytes(input in) {
  return std::as_bytes(in);
}

std::string text_of(const std::vector<char>& from) {
  return {from.begin(), from.end()};
}

/// Bytes as frames of at most 1 KiB, whole and in pieces of the size that the first byte says.
void frames(input in) {
  if (in.empty())
    return;
  auto piece = 1 + (static_cast<unsigned char>(in[0]) & 31U);
  auto rest = bytes(in.subspan(1));
  std::string whole;
  std::string pieces;
  auto read = [](cluster::frame_parser& parser, std::string& into) {
    for (;;) {
      auto next = parser.next();
      if (!next) {
        expect(next.error() == errc::malformed_frame || next.error() == errc::frame_too_large,
               "a frame has a documented error");
        return false;
      }
      if (!*next)
        return true;
      into += static_cast<char>((*next)->kind);
      expect((*next)->payload.size() <= 1024, "a frame keeps its bound");
      into.append(reinterpret_cast<const char*>((*next)->payload.data()), (*next)->payload.size());
    }
  };
  cluster::frame_parser at_once{1024};
  at_once.feed(rest);
  bool good = read(at_once, whole);
  cluster::frame_parser slowly{1024};
  bool good_slowly = true;
  for (std::size_t at = 0; at < rest.size() && good_slowly; at += piece) {
    slowly.feed(rest.subspan(at, std::min<std::size_t>(piece, rest.size() - at)));
    good_slowly = read(slowly, pieces);
  }
  expect(good == good_slowly, "pieces are judged as the whole");
  expect(whole == pieces, "pieces give the frames of the whole");
}

void hello(input in) {
  auto told = cluster::decode_hello(bytes(in));
  expect_code(told, errc::malformed_frame);
  if (told)
    expect(*cluster::decode_hello(bytes(cluster::encode(*told))) == *told, "a hello is read back");
}

void beat(input in) {
  auto told = cluster::decode_beat(bytes(in));
  expect_code(told, errc::malformed_frame);
  if (told)
    expect(*cluster::decode_beat(bytes(cluster::encode(*told))) == *told, "a beat is read back");
}

void address(input in) {
  auto where = cluster::parse_socket_address(text(in), 4370);
  expect_code(where, errc::invalid_argument);
  if (where) {
    auto again = cluster::parse_socket_address(to_string(*where), 1);
    expect(again && to_string(*again) == to_string(*where), "an address is read back");
  }
}

void machines(input in) {
  expect_code(cluster::parse_machines(text(in)), errc::dns_failed);
}

void call(input in) {
  expect_code(rpc::parse_call(bytes(in)), errc::malformed_frame);
  expect_code(rpc::parse_answer(bytes(in)), errc::malformed_frame);
  expect_code(rpc::parse_cancel(bytes(in)), errc::malformed_frame);
}

void announcement(input in) {
  expect_code(rpc::parse_announcement(text(in)), errc::malformed_frame);
}

/// A signature, a line feed, then a JSON array of its arguments.
void signature(input in) {
  auto all = text(in);
  auto end = all.find('\n');
  auto types = rpc::parse_signature(all.substr(0, end));
  expect_code(types, errc::invalid_argument);
  if (!types || end == std::string_view::npos)
    return;
  auto encoded = rpc::json_to_bytes(types->arguments, all.substr(end + 1));
  expect_code(encoded, errc::invalid_argument);
  if (!encoded || types->arguments.size() != 1)
    return;
  auto json = rpc::bytes_to_json(types->arguments[0], *encoded);
  if (!json)
    return; // a text that is no UTF-8 cannot be JSON
  auto again = rpc::json_to_bytes(types->arguments, "[" + *json + "]");
  expect(again && *again == *encoded, "JSON that was written is read back");
}

/// Any bytes as the values of a rich type, and as JSON of it.
void values(input in) {
  using rich = std::tuple<std::vector<std::string>, std::map<std::string, std::int64_t>,
                          std::optional<double>, std::array<bool, 2>, std::vector<std::uint8_t>>;
  rich value;
  auto wrong = rpc::decode(errc::malformed_arguments, in, value);
  expect(!wrong || wrong == errc::malformed_arguments, "values have the documented error");
  static const auto types = *rpc::parse_signature(rpc::signature_of<rich()>().text);
  rpc::bytes_to_json(types.result, in);
  if (wrong)
    return;
  auto encoded = rpc::encode(value);
  rich again;
  expect(encoded && !rpc::decode(errc::malformed_arguments, *encoded, again),
         "values are read back");
}

void lsn(input in) {
  if (auto where = repo::lsn::parse(text(in)))
    expect(repo::lsn::parse(to_string(*where)) == where, "an LSN is read back");
}

void position(input in) {
  auto where = repo::parse_position(text(in));
  expect_code(where, errc::invalid_argument);
  if (where)
    expect(to_string(*where) == text(in), "a position is written as it was read");
}

void token(input in) {
  static const repo::token_signer signer{"secret", "shop"};
  auto where = signer.parse(text(in));
  expect_code(where, errc::invalid_argument);
  if (where)
    expect(signer.sign(*where) == text(in), "nobody but the signer makes a token");
}

void cookie(input in) {
  static const repo::session_cookie reader{repo::token_signer{"secret", "shop"}};
  auto [user, problem] = reader.read(text(in));
  expect(!problem || problem == errc::invalid_argument, "a cookie has the documented error");
  auto seen = user.position();
  if (!seen)
    return expect(reader.write(user).empty(), "nothing seen is nothing to carry");
  auto header = reader.write(user);
  auto again = reader.read(header.substr(0, header.find(';')));
  expect(!again.problem && again.user.position() == seen, "a cookie is read back");
}

void level(input in) {
  auto which = repo::parse_level(text(in));
  expect_code(which, errc::invalid_argument);
  if (which)
    expect(!which->check() && repo::parse_level(to_string(*which)) == *which,
           "a level is read back");
}

void history(input in) {
  expect_code(repo::parse_history_file(7, text(in)), errc::database_unavailable);
}

void rows(input in) {
  auto parsed = repo::parse_rows(text(in));
  expect(!parsed || parsed->empty() == in.empty(), "a row has its parentheses");
}

void write(input in) {
  auto arguments = in;
  expect_code(repo::take_key(arguments), errc::malformed_arguments);
  std::span<const char> value;
  expect_code(repo::decode_reply(in, value), errc::malformed_result);
  if (auto digits = repo::from_hex(text(in)))
    expect(digits->size() * 2 == in.size(), "two digits are a byte");
}

std::vector<std::string> messages() {
  error_details details{{"sqlstate", "23505"}};
  auto refused =
      rpc::head_of(rpc::answer_message{7, make_error(errc::sql_failed, "no", details), {}, {}});
  auto asked =
      rpc::head_of(rpc::call_message{7, 1, std::chrono::seconds{5}, true, "shop.place", {}, true});
  return {text_of(refused), text_of(asked), text_of(rpc::head_of(rpc::cancel_message{7}))};
}

std::string reply() {
  repo::write_reply head{.where = {7, 1, *repo::lsn::parse("0/3000060"), 42}};
  return text_of(*repo::encode_reply(head, {}));
}

std::string sample_token() {
  return repo::token_signer{"secret", "shop"}.sign({7, 1, *repo::lsn::parse("0/3000060"), 42});
}

std::string sample_frames() {
  std::vector<char> out{3};
  auto body = std::as_bytes(std::span{"hello", 5});
  cluster::append_frame(out, cluster::frame_kind{16}, body, body);
  cluster::append_frame(out, cluster::frame_kind{17}, body, {});
  return text_of(out);
}

} // namespace

const std::vector<target>& targets() {
  static const std::vector<target> all{
      {"frames", frames, {sample_frames(), std::string("\x01\0\0\0\x01\x10", 6)}},
      {"hello", hello, {text_of(cluster::encode(cluster::hello{.cluster = "shop"}))}},
      {"handshake", handshake, handshake_seeds()},
      {"beat", beat, {text_of(cluster::encode(cluster::beat{.sent_us = 7}))}},
      {"address", address, {"127.0.0.1:4370", "[fdaa::3]:4370", "::1", "host"}},
      {"machines", machines, {"3287166c4e9d08 syd,e286065f969386 lax", "a b"}},
      {"call", call, messages()},
      {"announcement", announcement, {std::string("\x01\0\0\0\x04shop\0\0\0\0\0\0\0\x07", 17)}},
      {"signature",
       signature,
       {"(str,i32)->shop::order{i64,str,i32}\n[\"pen\",2]",
        "([?{str:[f64;2]}])->void write\n[[]]"}},
      {"values",
       values,
       {std::string("\x01\x03pen\x01\x03"
                    "abc\0\0\0\0\0\0\0\x07\0\x01\0\0",
                    21)}},
      {"lsn", lsn, {"16/B374D848", "0/0", "FFFFFFFF/FFFFFFFF"}},
      {"position", position, {"7412345678901234567.1.16/B374D848.745", "7.1.0/1"}},
      {"token", token, {sample_token()}},
      {"cookie", cookie, {"a=b; fly_session=" + sample_token() + "; c", "fly_session=\"x\""}},
      {"level", level, {"eventual", "bounded(2s)", "bounded(150ms)"}},
      {"history", history, {"1\t0/3000060\tno recovery target specified\n2\t0/4000000\tx\n"}},
      {"database_url",
       database_url,
       {"postgresql://app:hunter2@top1.nearest.of.db.internal:5432/app?sslmode=disable",
        "postgres://app:hunter2@[fdaa::1]:5433/app"}},
      {"rows", rows, {"(1,pen,)(2,\"a \"\"b\"\" \\\\ (c)\",\"\")"}},
      {"write", write, {reply(), std::string("\x03key", 4), "deadBEEF"}},
      {"letters", letters, letter_seeds()},
      {"parcel", parcel, parcel_seeds()},
      {"tls",
       tls,
       {std::string("\0\x16\x03\x01\0\x05\x01\0\0\x01\x03", 11), std::string(64, '\x01')}}};
  return all;
}

const target* find(const std::string& name) {
  for (const auto& each : targets())
    if (each.name == name)
      return &each;
  return nullptr;
}

} // namespace fly::fuzz
