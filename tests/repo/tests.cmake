fly_add_test_program(repo
  SOURCES
    repo/database_url_test.cpp
    repo/lsn_test.cpp
    repo/position_test.cpp
    repo/postgres_test.cpp
    repo/transaction_test.cpp
    repo/waiters_test.cpp
  LINKS fly::repo)
