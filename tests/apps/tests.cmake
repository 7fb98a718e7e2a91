# Whole regions on real parts; the demo; the benches as smoke tests.
if(NOT TARGET guestbook)
  return()
endif()

fly_add_test_program(apps
  SOURCES
    apps/admin_test.cpp
    apps/check_test.cpp
    apps/delay_proxy_test.cpp
    apps/doctor_test.cpp
    apps/explain_test.cpp
    apps/far_nodes_test.cpp
    apps/fault_test.cpp
    apps/flycluster_test.cpp
    apps/guestbook_test.cpp
    apps/local_fault_test.cpp
    apps/local_test.cpp
    apps/page_test.cpp
    apps/spine_test.cpp
    apps/tls_test.cpp
  LINKS fly::admin fly::repo fly::testing fly_guestbook Httplib::httplib nlohmann_json::nlohmann_json
  SERIAL apps/explain_test.cpp apps/flycluster_test.cpp apps/guestbook_test.cpp apps/local_fault_test.cpp apps/local_test.cpp apps/page_test.cpp apps/spine_test.cpp
    apps/tls_test.cpp
  TIMEOUT 300)

target_compile_definitions(fly_apps_test PRIVATE
  FLYCLUSTER="$<TARGET_FILE:flycluster>" GUESTBOOK="$<TARGET_FILE:guestbook>")
target_sources(fly_apps_test PRIVATE "${PROJECT_SOURCE_DIR}/apps/flycluster/doctor_databases.cpp")
add_dependencies(fly_apps_test flycluster guestbook)

add_executable(fly_far_writes bench/far_writes.cpp)
target_link_libraries(fly_far_writes PRIVATE fly::repo fly_test_support nlohmann_json::nlohmann_json)
fly_configure_target(fly_far_writes)
add_test(NAME "bench/far writes" COMMAND fly_far_writes --quick)
set_tests_properties("bench/far writes" PROPERTIES TIMEOUT 120 RUN_SERIAL ON LABELS bench)

add_executable(fly_leader_writes bench/leader_writes.cpp)
target_link_libraries(fly_leader_writes PRIVATE fly::repo fly_test_support nlohmann_json::nlohmann_json)
fly_configure_target(fly_leader_writes)
add_test(NAME "bench/leader writes" COMMAND fly_leader_writes --quick)
set_tests_properties("bench/leader writes" PROPERTIES TIMEOUT 120 RUN_SERIAL ON LABELS bench)

add_executable(fly_write_bench
  bench/write_bench.cpp
  bench/write_cases.cpp
  bench/write_idle.cpp
  bench/write_lab.cpp)
target_link_libraries(fly_write_bench PRIVATE fly::repo fly_test_support nlohmann_json::nlohmann_json)
fly_configure_target(fly_write_bench)
add_test(NAME "bench/write" COMMAND fly_write_bench --smoke)
set_tests_properties("bench/write" PROPERTIES TIMEOUT 120 RUN_SERIAL ON LABELS bench)

if(NOT FLY_SANITIZE)
  add_test(NAME "apps/demo" COMMAND "${PROJECT_SOURCE_DIR}/apps/demo" --once)
  set_tests_properties("apps/demo" PROPERTIES TIMEOUT 300 RUN_SERIAL ON LABELS apps)
endif()
