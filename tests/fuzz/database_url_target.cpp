#include "tests/fuzz/database_url_target.hpp"

#include <string>

#include "fly/actors/error.hpp"
#include "fly/repo/database_url.hpp"
#include "tests/fuzz/expect.hpp"

namespace fly::fuzz {

void database_url(std::span<const char> input) {
  std::string url{input.data(), input.size()};
  auto wrong = repo::check_database_url(url);
  expect(!wrong || wrong == errc::invalid_argument, "a URL has the documented error");
  bool is_password = url.find(":hunter2@") != std::string::npos;
  auto user = url.find("://");
  auto secret = user == std::string::npos ? user : url.find(':', user + 3);
  bool is_whole = secret != std::string::npos && url.compare(secret, 9, ":hunter2@") == 0;
  expect(!is_whole || text_of(wrong).find("hunter2") == std::string::npos,
         "no password in an error");
  if (is_password && url.find("hunter2") == url.rfind("hunter2") && url.find('@') == url.rfind('@'))
    expect(repo::redact_database_url(url).find("hunter2") == std::string::npos,
           "no password in a log");
  expect_code(repo::database_url_for(url, "lax", "syd"), errc::invalid_argument);
}

} // namespace fly::fuzz
