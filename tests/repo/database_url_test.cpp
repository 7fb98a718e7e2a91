// Proves Fly's URL rules, that other places stay untouched, and that no error shows a password.
#include "fly/repo/database_url.hpp"

#include <string>

#include <doctest/doctest.h>

#include "fly/actors/error.hpp"

using fly::repo::check_database_url;
using fly::repo::database_url_for;
using fly::repo::redact_database_url;

namespace {

std::string at_home(const std::string& url) {
  return *database_url_for(url, "syd", "syd");
}

std::string far_away(const std::string& url) {
  return *database_url_for(url, "lax", "syd");
}

} // namespace

TEST_CASE("a Fly database is asked for by the name of its nearest server") {
  CHECK(at_home("postgres://u:p@db.internal:5432/app") ==
        "postgres://u:p@top1.nearest.of.db.internal:5432/app");
  CHECK(at_home("postgres://u:p@db.internal/app") ==
        "postgres://u:p@top1.nearest.of.db.internal/app");
  CHECK(at_home("postgres://u:p@top1.nearest.of.db.internal:5432/app") ==
        "postgres://u:p@top1.nearest.of.db.internal:5432/app");
  CHECK(at_home("postgres://u:p@top2.nearest.of.db.internal:5432/app") ==
        "postgres://u:p@top1.nearest.of.db.internal:5432/app");
  CHECK(at_home("postgres://u:p@db.flycast:5432/app") == "postgres://u:p@db.flycast:5432/app");
  CHECK(at_home("postgres://u:p@db.flycast.internal:5432/app") ==
        "postgres://u:p@db.flycast.internal:5432/app");
}

TEST_CASE("outside the primary region the database itself is asked, not the proxy to the primary") {
  CHECK(far_away("postgres://u:p@db.internal:5432/app?sslmode=disable") ==
        "postgres://u:p@top1.nearest.of.db.internal:5433/app?sslmode=disable");
  CHECK(far_away("postgres://db.internal") == "postgres://top1.nearest.of.db.internal:5433");
  CHECK(far_away("postgres://top2.nearest.of.db.internal:5432/app") ==
        "postgres://top1.nearest.of.db.internal:5433/app");
  CHECK(far_away("postgres://db.flycast:5432/app") == "postgres://db.flycast:5433/app");
  CHECK(far_away("postgres://db.internal:5433/app") ==
        "postgres://top1.nearest.of.db.internal:5433/app");
  CHECK(far_away("postgres://db.internal:6432/app") ==
        "postgres://top1.nearest.of.db.internal:6432/app");
}

TEST_CASE("fault 8: a managed Postgres host is never rewritten") {
  for (const char* url : {"postgresql://u:p@pgbouncer.abc123.flympg.net/fly-db",
                          "postgresql://u:p@direct.abc123.flympg.net:5432/fly-db"}) {
    CHECK(at_home(url) == url);
    CHECK(far_away(url) == url);
  }
}

TEST_CASE("localhost, addresses, sockets and other hosts stay as they are") {
  for (const char* url :
       {"postgresql://app@127.0.0.1:5432/app", "postgresql://app@localhost/app",
        "postgresql://[::1]:5432/app", "postgresql://[fdaa::3]/app", "postgresql:///app",
        "postgresql://%2Fvar%2Frun%2Fpostgresql/app", "postgresql:///app?host=/tmp&port=5999",
        "postgresql://db.example.com:5432/app", "postgresql://internal/app",
        "postgresql://db.internal.example.com/app", "postgresql://",
        "postgres://u@h?application_name=x"}) {
    CHECK(at_home(url) == url);
    CHECK(far_away(url) == url);
  }
}

TEST_CASE("each of several hosts follows the rules") {
  CHECK(far_away("postgres://u:p@a.internal:5432,b.example.com,top2.nearest.of.c.internal/app") ==
        "postgres://u:p@top1.nearest.of.a.internal:5433,b.example.com,"
        "top1.nearest.of.c.internal:5433/app");
}

TEST_CASE("user and password are kept to the byte") {
  auto url = "postgres://us%40er:p%3Aa:s%2Fs@db.internal:5432/app";
  CHECK(at_home(url) == "postgres://us%40er:p%3Aa:s%2Fs@top1.nearest.of.db.internal:5432/app");
  CHECK(at_home("postgres://:@db.internal/app") == "postgres://:@top1.nearest.of.db.internal/app");
}

TEST_CASE("a malformed URL is refused by name, without its password") {
  auto names = [](const std::string& url, const char* part) {
    auto reason = check_database_url(url);
    REQUIRE_MESSAGE(reason == fly::errc::invalid_argument, url);
    auto text = fly::text_of(reason);
    CHECK_MESSAGE(text.find(part) != std::string::npos, url << " -> " << text);
    CHECK_MESSAGE(text.find("secret") == std::string::npos, text);
    CHECK(database_url_for(url, "a", "b").error() == fly::errc::invalid_argument);
    CHECK(redact_database_url(url) == "(unreadable)");
  };
  names("", "empty");
  names("db.internal:5432", "does not begin");
  names("mysql://u:secret@h/d", "does not begin");
  names("host=h password=secret", "does not begin");
  names("postgres://u:secret@h:0/d", "port '0'");
  names("postgres://u:secret@h:65536/d", "port '65536'");
  names("postgres://u:secret@h:banana/d", "port is not a number");
  names("postgres://u:secret", "port is not a number"); // what it is may be a password
  names("postgres://u:secret@h:/d", "port '' is not");
  names("postgres://u:secret@[::1/d", "']'");
  names("postgres://u:secret@[]/d", "empty");
  names("postgres://u:secret@[::1]x/d", "after ']'");
  names("postgres://u:sec%ret@h/d", "'%'");
  names("postgres://u:secret%0@h/d", "'%'");
  names("postgres://u:p@secret@h/d", "%40");
  names("postgres://u:p@ss:secret@h/d", "%40");
  names("postgres://u:secret@h%zz/d", "'%'");
  names("postgres://u:secret@h/d%0", "'%'");
  names("postgres://u:secret@h o/d", "blank");
  names("postgres://u:sec/ret@h/d", "%2F");
}

TEST_CASE("a parameter that libpq does not know is refused by name, without a password") {
  CHECK(fly::text_of(check_database_url("postgres://u@h/d?sslmod=require")) ==
        "database URL: invalid URI query parameter: \"sslmod\"");
  CHECK(fly::text_of(check_database_url("postgres://u@h/d?sslmode")) ==
        "database URL: missing key/value separator \"=\" in URI query parameter: \"sslmode\"");
  CHECK(fly::text_of(check_database_url("postgres://u:12/x?secret@h")) ==
        "database URL: what is behind its '?' cannot be read");
  CHECK_FALSE(database_url_for("postgres://u@h/d?nope=1", "syd", "syd"));
  CHECK_FALSE(check_database_url("postgres://u@h/d?sslmode=require&options=-c%20work_mem%3D8MB"));
}

TEST_CASE("a value that libpq would refuse when it connects is refused by name") {
  auto said = [](const std::string& parameters) {
    return fly::text_of(check_database_url("postgres://u:secret@h,i:5/d?" + parameters));
  };
  auto without_quotes = [](std::string text) { // around names, which libpq 15 has not and 17 has
    std::erase(text, '"');
    return text;
  };
  CHECK(said("sslmode=bogus") == "database URL: invalid sslmode value: \"bogus\"");
  for (const char* key :
       {"target_session_attrs", "channel_binding", "gssencmode", "ssl_min_protocol_version",
        "keepalives", "keepalives_idle", "tcp_user_timeout", "connect_timeout"})
    CHECK(without_quotes(said(key + std::string{"=bogus"})) ==
          "database URL: invalid " + std::string{key} + " value: bogus");
  for (const char* value : {"secret", "l://x:secret@y", "a@b"})
    for (const char* key : {"sslmode=", "keepalives="})
      CHECK(said(key + std::string{value}) ==
            "database URL: a value behind its '?' is none of its parameter");
  CHECK(said("ss://u:secretlmode=disable") ==
        "database URL: what is behind its '?' cannot be read");
  CHECK(said("keepalives_idle=9999999999").find("keepalives_idle") != std::string::npos);
  CHECK(said("sslmode=verify-full&target_session_attrs=any&channel_binding=prefer&connect_timeout=3"
             "&gssencmode=disable&ssl_min_protocol_version=TLSv1.3&keepalives=1")
            .empty());
  CHECK(said("hostaddr=127.0.0.1,127.0.0.2&sslrootcert=%2Fnone&application_name=x").empty());
  CHECK_FALSE(check_database_url("postgres:///d?host=%2Frun&port=5433&sslmode=prefer"));
}

TEST_CASE("a URL for logs has no password in any place") {
  CHECK(redact_database_url("postgres://u:secret@h:1/d") == "postgres://u:***@h:1/d");
  CHECK(redact_database_url("postgres://u@h/d") == "postgres://u@h/d");
  CHECK(redact_database_url("postgres://h/d?user=u&password=secret&sslmode=disable") ==
        "postgres://h/d?user=u&password=***&sslmode=disable");
  CHECK(redact_database_url("postgres://h/d?password=secret") == "postgres://h/d?password=***");
  CHECK(redact_database_url("postgres://h/d?sslpassword=secret") ==
        "postgres://h/d?sslpassword=***");
  CHECK(redact_database_url("postgres://h?x:secret@other/d").find("secret") == std::string::npos);
}
