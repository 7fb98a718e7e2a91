# One program in two versions, rolled over with calls going on.
foreach(version IN ITEMS 1 2)
  add_executable(fly_rollout_node_${version} rollout/node.cpp)
  target_link_libraries(fly_rollout_node_${version} PRIVATE fly::rpc Boost::program_options)
  target_include_directories(fly_rollout_node_${version} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(fly_rollout_node_${version} PRIVATE FLY_ROLLOUT_VERSION=${version})
  fly_configure_target(fly_rollout_node_${version})
endforeach()

fly_add_test_program(rollout
  SOURCES
    rollout/rollout_test.cpp
  LINKS fly::rpc
  SERIAL rollout/rollout_test.cpp)
target_compile_definitions(fly_rollout_test PRIVATE
  FLY_ROLLOUT_NODE_1="$<TARGET_FILE:fly_rollout_node_1>" FLY_ROLLOUT_NODE_2="$<TARGET_FILE:fly_rollout_node_2>")
add_dependencies(fly_rollout_test fly_rollout_node_1 fly_rollout_node_2)
