fly_add_test_program(repo
  SOURCES
    repo/postgres_test.cpp
  LINKS fly::actors)
