# Whole clusters in one process, from a seed: a short run here, tests/simulation/run takes longer ones.
# Sanitizers stand in the place of the same functions of the library, and shared libraries have bound theirs already.
if(FLY_SANITIZE OR BUILD_SHARED_LIBS)
  return()
endif()

# Objects, not an archive: what stands in the place of parts of the libraries must be linked before them.
add_library(fly_simulation_rooms OBJECT
  simulation/cluster_run.cpp
  simulation/endpoint.cpp
  simulation/fiber.cpp
  simulation/history.cpp
  simulation/lsn_tracker.cpp
  simulation/nemesis.cpp
  simulation/network.cpp
  simulation/node_core.cpp
  simulation/postgres.cpp
  simulation/pq_link.cpp
  simulation/program.cpp
  simulation/scale.cpp
  simulation/schedule.cpp
  simulation/service.cpp
  simulation/sessions.cpp
  simulation/trace.cpp
  simulation/virtual_time.cpp
  simulation/worker_pool.cpp)
target_link_libraries(fly_simulation_rooms PUBLIC fly::repo)
target_include_directories(fly_simulation_rooms PUBLIC "${PROJECT_SOURCE_DIR}")
fly_configure_target(fly_simulation_rooms)

add_executable(fly_simulation simulation/main.cpp)
target_link_libraries(fly_simulation PRIVATE fly_simulation_rooms)
fly_configure_target(fly_simulation)
add_test(NAME "simulation/short" COMMAND fly_simulation --seeds 1000 --seconds 8)
set_tests_properties("simulation/short" PROPERTIES TIMEOUT 60 LABELS simulation)

add_executable(fly_simulation_test simulation/simulation_test.cpp)
target_link_libraries(fly_simulation_test PRIVATE fly_simulation_rooms doctest::doctest)
fly_configure_target(fly_simulation_test)
target_compile_options(fly_simulation_test PRIVATE -O0)
add_test(NAME "simulation/rooms" COMMAND fly_simulation_test)
set_tests_properties("simulation/rooms" PROPERTIES TIMEOUT 60 LABELS simulation)
