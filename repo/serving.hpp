#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fly/repo/database.hpp"
#include "fly/repo/write_handler.hpp"
#include "fly/rpc/handler.hpp"
#include "fly/rpc/signature.hpp"

namespace fly::repo {

class database_core;

/// Makes a handler that runs `handler` as the write `name` in a transaction of `core`, once for its
/// key where it has one.
rpc::raw_handler in_transaction(std::shared_ptr<database_core> core, std::string name,
                                const rpc::signature& signature, serve_options options,
                                raw_write_handler handler);

/// Serves fly's own functions and writes of a database. Returns the names that were free: a second
/// database of one endpoint finds them taken, and the first one's serve.
std::vector<std::string_view> serve_builtins(rpc::endpoint& rpc,
                                             const std::shared_ptr<database_core>& core);

} // namespace fly::repo
