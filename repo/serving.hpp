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

/// Returns the name under which a database serves fly's own `f`: "fly.execute", or for one with a
/// name (`options::name`) "fly.execute@stats".
std::string builtin_name(std::string_view f, const std::string& database);

/// Serves fly's own functions and writes of a database; of one with a name those alone that run on
/// it. Returns the names that were free.
std::vector<std::string> serve_builtins(rpc::endpoint& rpc,
                                        const std::shared_ptr<database_core>& core);

} // namespace fly::repo
