#pragma once

#include "apps/local/eventually.hpp"

namespace fly::test {

using local::eventually;

} // namespace fly::test
