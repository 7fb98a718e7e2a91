#include "tests/fuzz/tls_target.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "fly/actors/error.hpp"
#include "fly/cluster/certificates.hpp"
#include "fly/cluster/tls_filter.hpp"
#include "tests/fuzz/expect.hpp"

namespace fly::fuzz {

namespace {

using cluster::tls_context;
using cluster::tls_filter;

std::shared_ptr<const tls_context> make_context() {
  auto folder = (std::filesystem::temp_directory_path() / "fly-fuzz-XXXXXX").string();
  expect(::mkdtemp(folder.data()) != nullptr, "there is a folder");
  auto write = [&](const char* name, const std::string& content) {
    std::ofstream{folder + "/" + name} << content;
    return folder + "/" + name;
  };
  auto authority = cluster::make_authority("shop", {});
  auto node = cluster::issue_certificate(*authority, {.app = "shop"});
  auto loaded =
      tls_context::load({write("node.pem", node->certificate), write("node.key", node->key),
                         write("ca.pem", authority->certificate)},
                        "shop");
  std::filesystem::remove_all(folder);
  expect(loaded.operator bool(), "the files are good");
  return *loaded;
}

std::span<const std::byte> bytes(std::span<const char> text) {
  return std::as_bytes(text);
}

void stranger(const std::shared_ptr<const tls_context>& context, tls_filter::side side,
              std::span<const char> input) {
  tls_filter end{context, side};
  std::vector<char> plain;
  std::vector<char> out;
  end.seal({}, out);
  if (auto failed = end.open(bytes(input), plain))
    expect(failed == errc::handshake_failed, "a stranger fails in the handshake");
  end.seal({}, out);
  expect(plain.empty() && !end.is_up(), "a stranger does not get through");
}

void bent(const std::shared_ptr<const tls_context>& context, std::span<const char> input) {
  tls_filter dialler{context, tls_filter::side::dialler};
  tls_filter acceptor{context, tls_filter::side::acceptor};
  std::vector<char> plain;
  for (int turn = 0; turn < 4; ++turn) {
    std::vector<char> out;
    (turn % 2 == 0 ? dialler : acceptor).seal({}, out);
    (turn % 2 == 0 ? acceptor : dialler).open(bytes(out), plain);
  }
  expect(dialler.is_up() && acceptor.is_up(), "two that belong together get through");
  std::vector<char> sealed;
  dialler.seal(std::string(64, 'x'), sealed);
  bool changed = false;
  for (std::size_t i = 0; i < sealed.size() && i < input.size(); ++i) {
    changed |= input[i] != 0;
    sealed[i] = static_cast<char>(sealed[i] ^ input[i]);
  }
  auto failed = acceptor.open(bytes(sealed), plain);
  expect(changed ? plain.empty() : plain == std::vector<char>(64, 'x'),
         "what was bent never comes out as plain text");
  expect(!failed || failed == errc::member_lost, "a link that was up is lost");
}

} // namespace

void tls(std::span<const char> input) {
  static const auto context = make_context();
  if (input.empty())
    return;
  auto way = static_cast<unsigned char>(input[0]);
  auto rest = input.subspan(1);
  if (way % 2 == 1)
    bent(context, rest);
  else
    stranger(context, (way & 2) != 0 ? tls_filter::side::dialler : tls_filter::side::acceptor,
             rest);
}

} // namespace fly::fuzz
