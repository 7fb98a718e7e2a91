fly_add_test_program(repo
  SOURCES
    repo/commit_test.cpp
    repo/connection_pool_test.cpp
    repo/database_test.cpp
    repo/database_url_test.cpp
    repo/failover_test.cpp
    repo/lsn_test.cpp
    repo/lsn_tracker_test.cpp
    repo/options_test.cpp
    repo/position_test.cpp
    repo/postgres_test.cpp
    repo/replay_watcher_test.cpp
    repo/role_watcher_test.cpp
    repo/tracker_faults_test.cpp
    repo/transaction_test.cpp
    repo/waiters_test.cpp
  LINKS fly::repo)
