#pragma once

#include "apps/local/dns_server.hpp"

namespace fly::test {

using local::dns_server;

} // namespace fly::test
