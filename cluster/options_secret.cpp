// The secrets of options.hpp, from where they are given.
#include <fstream>
#include <string>

#include "fly/actors/error.hpp"
#include "fly/cluster/options.hpp"

namespace fly::cluster {

namespace {

/// Returns `given`, else what `file` holds.
caf::expected<std::string> secret_of(const std::string& given, const char* option,
                                     const std::string& path) {
  if (!given.empty() || path.empty())
    return given;
  auto bad = [&](const char* why) {
    return make_error(errc::invalid_argument, std::string{option} + ": '" + path + "' " + why);
  };
  constexpr std::size_t bytes_max = 64 * 1024; // a device has no end
  std::ifstream file{path, std::ios::binary};
  std::string content(bytes_max + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size())); // a directory is bad
  if (!file.is_open() || file.bad())
    return bad("cannot be read");
  content.resize(static_cast<std::size_t>(file.gcount()));
  if (content.size() > bytes_max)
    return bad("has more than 65536 bytes");
  while (content.ends_with('\n') || content.ends_with('\r'))
    content.pop_back();
  if (content.empty())
    return bad("is empty");
  return content;
}

} // namespace

caf::expected<std::string> options::load_secret() const {
  return secret_of(secret, "secret-file", secret_file);
}

caf::expected<std::string> options::load_secret_also() const {
  return secret_of(secret_also, "secret-also-file", secret_also_file);
}

} // namespace fly::cluster
