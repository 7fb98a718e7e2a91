fly_add_test_program(testing
  SOURCES
    testing/checker_test.cpp
    testing/history_test.cpp
    testing/outage_test.cpp
    testing/recorder_test.cpp
  LINKS fly::testing)
