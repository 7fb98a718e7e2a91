# The pages in docs/: their examples are built, their commands are run, their tables are complete.
foreach(check IN ITEMS examples errors metrics links)
  add_test(NAME "docs/${check}" COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/docs/run" ${check})
endforeach()
if(TARGET flycluster AND NOT FLY_SANITIZE)
  add_test(NAME "docs/commands"
    COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/docs/run" commands "${PROJECT_BINARY_DIR}" "$<TARGET_FILE:fly_with_postgres>")
  set_tests_properties("docs/commands" PROPERTIES TIMEOUT 1200 LABELS docs)
endif()

fly_add_test_program(docs
  SOURCES
    docs/rights_test.cpp
  LINKS fly::repo)
