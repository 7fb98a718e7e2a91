#pragma once

#include "apps/local/postgres_process.hpp"

namespace fly::test {

using local::free_port;
using local::give_to_postgres;
using local::make_postgres_folder;
using local::postgres_programs;
using local::run_postgres_program;
using local::spawn_guardian;
using local::spawn_postgres_program;
using local::wait_for_child;

} // namespace fly::test
