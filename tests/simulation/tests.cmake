# Whole clusters in one process, from a seed: a short run here, tests/simulation/run takes longer ones.
add_library(fly_simulation_rooms STATIC
  simulation/cluster_run.cpp
  simulation/fiber.cpp
  simulation/nemesis.cpp
  simulation/network.cpp
  simulation/node_core.cpp
  simulation/program.cpp
  simulation/schedule.cpp
  simulation/trace.cpp
  simulation/virtual_time.cpp)
target_link_libraries(fly_simulation_rooms PUBLIC fly::repo)
target_include_directories(fly_simulation_rooms PUBLIC "${PROJECT_SOURCE_DIR}")
fly_configure_target(fly_simulation_rooms)

add_executable(fly_simulation simulation/main.cpp)
target_link_libraries(fly_simulation PRIVATE fly_simulation_rooms)
fly_configure_target(fly_simulation)
add_test(NAME "simulation/short" COMMAND fly_simulation --seeds 1000 --seconds 8)
set_tests_properties("simulation/short" PROPERTIES TIMEOUT 60 LABELS simulation)
