# A stranger's ways to the library; README's example is what they build. None of them is a way of the sanitizers.
add_executable(fly_with_postgres support/with_postgres.cpp)
target_link_libraries(fly_with_postgres PRIVATE fly_test_support)
fly_configure_target(fly_with_postgres)

if(NOT FLY_SANITIZE)
  foreach(kind IN ITEMS readme static pkg-config subfolder shared admin admin-shared testing)
    add_test(NAME "install/${kind}"
      COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/install/run" ${kind} "${PROJECT_BINARY_DIR}" "$<TARGET_FILE:fly_with_postgres>"
        "-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}")
    set_tests_properties("install/${kind}" PROPERTIES TIMEOUT 900 LABELS install)
  endforeach()
  # They build the shared libraries, in one folder.
  set_tests_properties("install/subfolder" "install/shared" "install/admin-shared" PROPERTIES RESOURCE_LOCK install-shared)
endif()
