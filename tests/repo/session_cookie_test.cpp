// Proves that a session comes back from its cookie, and that nothing else makes one: what is
// malformed or forged is a fresh session, and is said.
#include "fly/repo/session_cookie.hpp"

#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"

using namespace fly;
using namespace fly::repo;
using namespace std::chrono_literals;

namespace {

const token_signer signer{"secret", "shop"};
const position where{7412345678901234567U, 3, *lsn::parse("16/B374D848"), 745};

std::string cookie_of(const std::string& header) {
  return header.substr(0, header.find(';'));
}

bool names(const caf::error& reason, const std::string& part) {
  return reason == errc::invalid_argument && text_of(reason).find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a session comes back from the cookie that was set") {
  session_cookie cookie{signer};
  auto header = cookie.write(session{where});
  CHECK(header == "fly_session=" + signer.sign(where) +
                      "; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax");

  for (const auto& sent :
       {cookie_of(header), "a=b; " + cookie_of(header) + "; c=d", "a=b;" + cookie_of(header) + ";",
        "fly_session=\"" + signer.sign(where) + "\"", "x; =; " + cookie_of(header)}) {
    auto [user, problem] = cookie.read(sent);
    CHECK_MESSAGE(user.position() == where, sent);
    CHECK_FALSE(problem);
  }
}

TEST_CASE("without a cookie a session is fresh, and nothing is wrong") {
  session_cookie cookie{signer};
  for (const char* sent : {"", "a=b", "fly_session2=x", "xfly_session=y", ";;; ;", "fly_session"}) {
    auto [user, problem] = cookie.read(sent);
    CHECK_FALSE(user.position());
    CHECK_FALSE_MESSAGE(problem, sent);
  }
  CHECK(cookie.write({}).empty()); // nothing seen, nothing to carry
}

TEST_CASE("a cookie that is malformed or forged is a fresh session, and is named") {
  session_cookie cookie{signer};
  auto good = signer.sign(where);
  auto forged = token_signer{"guess", "shop"}.sign(where);
  auto of_another_cluster = token_signer{"secret", "bank"}.sign(where);
  auto bent = good;
  bent[5] = bent[5] == '1' ? '2' : '1';
  for (const auto& value :
       {std::string{}, std::string{"x"}, forged, of_another_cluster, bent, good + "0",
        good.substr(1), std::string(20'000, 'a'), std::string{"v1.7.1.0/1\0", 11}}) {
    auto [user, problem] = cookie.read("a=b; fly_session=" + value);
    CHECK_FALSE_MESSAGE(user.position(), value);
    CHECK_MESSAGE(names(problem, "cookie fly_session: not a token of this cluster"), value);
  }
  auto [user, problem] = cookie.read("fly_session=" + good + std::string(40'000, ' '));
  CHECK_FALSE(user.position());
  CHECK(names(problem, "32 KiB"));
}

TEST_CASE("of several cookies those that can be used count, the furthest of them") {
  session_cookie cookie{signer};
  auto older = where;
  older.lsn = lsn{17};
  auto [user, problem] =
      cookie.read("fly_session=" + signer.sign(older) + "; fly_session=" + signer.sign(where) +
                  "; fly_session=planted");

  REQUIRE(user.position());
  CHECK(user.position()->lsn == where.lsn);
  CHECK(names(problem, "fly_session"));
}

TEST_CASE("each attribute is set as the options say") {
  session_cookie cookie{signer,
                        {.name = "seen",
                         .path = "/shop",
                         .domain = "example.org",
                         .max_age = std::nullopt,
                         .secure = false,
                         .http_only = false,
                         .same_site = cookie_options::site::strict}};
  CHECK(cookie.write(session{where}) ==
        "seen=" + signer.sign(where) + "; Path=/shop; Domain=example.org; SameSite=Strict");
  CHECK_FALSE(session_cookie{signer, {.same_site = cookie_options::site::none}}.usable());
  CHECK_FALSE(session_cookie{signer, {.name = "__Host-fly"}}.usable());
}

TEST_CASE("each option that cannot be used is named, and then no cookie is read or set") {
  struct {
    cookie_options options;
    const char* named;
  } wrong[] = {
      {{.name = ""}, "name"},
      {{.name = "a b"}, "name is \"a b\""},
      {{.name = "a;b"}, "name"},
      {{.name = std::string(65, 'a')}, "name"},
      {{.path = ""}, "path"},
      {{.path = "shop"}, "path is \"shop\""},
      {{.path = "/; Secure"}, "path"},
      {{.path = "/" + std::string(256, 'a')}, "path"},
      {{.domain = "a b"}, "domain"},
      {{.domain = "x\r\nSet-Cookie: y"}, "domain"},
      {{.domain = std::string(254, 'a')}, "domain"},
      {{.max_age = 0s}, "max_age is \"0 s\""},
      {{.max_age = -1s}, "max_age"},
      {{.max_age = 24h * 401}, "max_age"},
      {{.secure = false, .same_site = cookie_options::site::none}, "same_site"},
      {{.same_site = static_cast<cookie_options::site>(9)}, "same_site is \"9\""},
      {{.name = "__Secure-x", .secure = false}, "allowed without secure"},
      {{.name = "__Host-x", .path = "/shop"}, "a path other than /"},
      {{.name = "__Host-x", .domain = "example.org"}, "with a domain"},
  };
  for (const auto& it : wrong) {
    session_cookie cookie{signer, it.options};
    CHECK_MESSAGE(names(cookie.usable(), it.named), fly::to_string(cookie.usable()));
    CHECK(cookie.write(session{where}).empty());
    auto [user, problem] = cookie.read(it.options.name + "=" + signer.sign(where));
    CHECK_FALSE(user.position());
    CHECK(problem == errc::invalid_argument);
  }
}
