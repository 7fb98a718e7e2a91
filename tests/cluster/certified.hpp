#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include <unistd.h>

#include "fly/cluster/certificates.hpp"
#include "fly/cluster/tls_context.hpp"

namespace fly::test {

/// An authority with a folder of its own, and the nodes' files that it has made.
class certified {
public:
  explicit certified(const std::string& app = "shop") : app_(app) {
    auto pattern = (std::filesystem::temp_directory_path() / "fly-tls-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    authority_ = *cluster::make_authority(app, {});
    write("ca.pem", authority_.certificate);
  }
  ~certified() { std::filesystem::remove_all(folder_); }
  certified(const certified&) = delete;
  certified& operator=(const certified&) = delete;

  const cluster::certified_key& authority() const { return authority_; }

  /// Writes a file of the folder and returns its path.
  std::string write(const std::string& name, std::string_view content) const {
    auto path = (folder_ / name).string();
    std::ofstream{path} << content;
    return path;
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  /// Makes a certificate and its key, "<name>.pem" and "<name>.key".
  cluster::tls_files files(const std::string& name,
                           cluster::certificate_request wanted = {}) const {
    if (wanted.app.empty())
      wanted.app = app_;
    auto made = cluster::issue_certificate(authority_, wanted);
    REQUIRE(made);
    return {write(name + ".pem", made->certificate), write(name + ".key", made->key),
            path("ca.pem")};
  }

private:
  std::string app_;
  std::filesystem::path folder_;
  cluster::certified_key authority_;
};

} // namespace fly::test
