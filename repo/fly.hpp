#pragma once

/// All that a service needs, in one include. A file that uses one floor compiles faster with that
/// floor's headers alone.

#include "fly/actors/error.hpp"
#include "fly/actors/must.hpp"
#include "fly/actors/supervisor.hpp"
#include "fly/cluster/node.hpp"
#include "fly/repo/database.hpp"
#include "fly/repo/exec.hpp"
#include "fly/repo/record.hpp"
#include "fly/repo/rpc_and_wait.hpp"
#include "fly/repo/session_cookie.hpp"
#include "fly/repo/within.hpp"
#include "fly/repo/write.hpp"
#include "fly/rpc/each.hpp"
#include "fly/rpc/endpoint.hpp"
#include "fly/rpc/function.hpp"
#include "fly/rpc/verbs.hpp"
