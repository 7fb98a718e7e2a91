# Real processes, databases and name servers in three regions, hurt from a seed, and a checker at the end. A short run
# is a test; tests/chaos/run takes longer ones.
foreach(version IN ITEMS 1 2)
  add_executable(fly_chaos_node_${version}
    chaos/clients.cpp
    chaos/node.cpp)
  target_link_libraries(fly_chaos_node_${version} PRIVATE fly::testing fly::repo Boost::program_options)
  target_include_directories(fly_chaos_node_${version} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(fly_chaos_node_${version} PRIVATE FLY_CHAOS_VERSION=${version})
  fly_configure_target(fly_chaos_node_${version})
endforeach()

add_executable(fly_chaos
  chaos/faults.cpp
  chaos/main.cpp
  chaos/nemesis.cpp
  chaos/network.cpp
  chaos/world.cpp
  chaos/world_end.cpp)
target_link_libraries(fly_chaos PRIVATE fly::testing fly_local Boost::program_options)
target_compile_definitions(fly_chaos PRIVATE
  FLY_CHAOS_NODE_1="$<TARGET_FILE:fly_chaos_node_1>" FLY_CHAOS_NODE_2="$<TARGET_FILE:fly_chaos_node_2>")
add_dependencies(fly_chaos fly_chaos_node_1 fly_chaos_node_2)
fly_configure_target(fly_chaos)

add_test(NAME "chaos/short" COMMAND fly_chaos)
set_tests_properties("chaos/short" PROPERTIES TIMEOUT 240 RUN_SERIAL ON LABELS chaos)
