#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "fly/repo/options.hpp"

namespace fly::repo {

/// A test's own transaction: all that the databases made with `settings()` read and write goes
/// through one connection, in one transaction that is rolled back at the end, whichever node runs
/// it. Each write and read is a savepoint in it, so that one that fails leaves the others alone;
/// waits return at once. Sandboxes do not see each other, but for what PostgreSQL does not roll
/// back (sequences) and its locks: the second who inserts the same unique value waits for the
/// first.
///
///     fly::repo::sandbox box{"postgresql://localhost/shop_test"};
///     fly::repo::database db{rpc, box.settings()};
///
/// One connection does one thing at a time: a call made inside of a read or a write waits for it in
/// vain. A function that ends its transaction itself ends the sandbox, and is told so. fly's own
/// tables are made outside of it, for good. Declare it before the databases. Safe from any thread.
class sandbox {
public:
  /// The database of the tests, which must be writable. Connects at the first use, for at most
  /// `connect_timeout`.
  explicit sandbox(std::string url,
                   std::chrono::milliseconds connect_timeout = std::chrono::seconds{3});

  /// Closes the connection, which rolls back.
  ~sandbox();

  sandbox(const sandbox&) = delete;
  sandbox& operator=(const sandbox&) = delete;

  /// Returns options for a database of the test.
  options settings() const;

private:
  std::string url_;
  std::chrono::milliseconds connect_timeout_;
  std::shared_ptr<connection_pool> pool_;
};

} // namespace fly::repo
