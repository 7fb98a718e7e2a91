# Faults with real processes: a short run of each, and a short storm. tests/faults/run takes longer ones.
add_executable(fly_fault_node faults/fault_node.cpp)
target_link_libraries(fly_fault_node PRIVATE fly::repo)
target_include_directories(fly_fault_node PRIVATE "${PROJECT_SOURCE_DIR}")
fly_configure_target(fly_fault_node)

add_executable(fly_faults
  faults/calls.cpp
  faults/lab.cpp
  faults/leader_faults.cpp
  faults/load_faults.cpp
  faults/main.cpp
  faults/moving_user.cpp
  faults/node_faults.cpp
  faults/once.cpp
  faults/outside_faults.cpp
  faults/report.cpp
  faults/tally.cpp)
target_link_libraries(fly_faults PRIVATE fly::repo fly_local nlohmann_json::nlohmann_json)
target_compile_definitions(fly_faults PRIVATE FLY_FAULT_NODE="$<TARGET_FILE:fly_fault_node>")
add_dependencies(fly_faults fly_fault_node)
fly_configure_target(fly_faults)

# Other tests may be built or run beside these: a busy machine may be later than the limits say.
add_test(NAME "faults/each" COMMAND fly_faults --slack 400)
add_test(NAME "faults/storm" COMMAND fly_faults storm --slack 400)
add_test(NAME "faults/once" COMMAND fly_faults once --writes 200 --kills)
add_test(NAME "faults/session" COMMAND fly_faults session --requests 1000)
set_tests_properties("faults/each" "faults/storm" "faults/once" "faults/session" PROPERTIES TIMEOUT 240 RUN_SERIAL ON LABELS faults)
