#pragma once

#include "tests/support/postgres.hpp"

namespace fly::test {

/// Makes fly's own tables what they were at version 3.
inline void make_version_3(const postgres_server& server) {
  server.sql("ALTER TABLE fly.ledger ADD CONSTRAINT ledger_key_check CHECK (length(key) BETWEEN 1 "
             "AND 200), ALTER COLUMN key TYPE text COLLATE \"default\"; DELETE FROM fly.schema "
             "WHERE version > 3");
}

} // namespace fly::test
