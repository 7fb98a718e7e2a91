#pragma once

#include "apps/local/postgres.hpp"

namespace fly::test {

using local::postgres;
using local::postgres_options;
using local::postgres_server;

} // namespace fly::test
