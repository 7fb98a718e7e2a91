#include "fly/repo/sandbox.hpp"

#include <utility>

#include "fly/repo/connection_pool.hpp"

namespace fly::repo {

sandbox::sandbox(std::string url, std::chrono::milliseconds connect_timeout)
    : url_(std::move(url)), connect_timeout_(connect_timeout),
      pool_(std::make_shared<connection_pool>(
          pool_options{.link = {.url = url_, .application_name = "fly sandbox"},
                       .connections_max = 1,
                       .connect_timeout = connect_timeout,
                       .keeps_transactions = true})) {}

sandbox::~sandbox() {
  pool_->close();
}

options sandbox::settings() const {
  options result;
  result.database_url = url_;
  result.connect_timeout = connect_timeout_;
  result.sandbox = pool_;
  return result;
}

} // namespace fly::repo
