# Bad input for every parser: a short run from a fixed seed here, libFuzzer in tests/fuzz/run.
add_library(fly_fuzz_targets STATIC fuzz/actor_target.cpp fuzz/database_url_target.cpp fuzz/handshake_target.cpp
  fuzz/targets.cpp fuzz/tls_target.cpp)
target_link_libraries(fly_fuzz_targets PUBLIC fly::repo)
target_include_directories(fly_fuzz_targets PUBLIC "${PROJECT_SOURCE_DIR}")
fly_configure_target(fly_fuzz_targets)

if(FLY_FUZZ)
  add_executable(fly_libfuzzer EXCLUDE_FROM_ALL fuzz/libfuzzer.cpp)
  target_link_libraries(fly_libfuzzer PRIVATE fly_fuzz_targets)
  target_link_options(fly_libfuzzer PRIVATE -fsanitize=fuzzer)
  fly_configure_target(fly_libfuzzer)
endif()

add_executable(fly_fuzz fuzz/main.cpp)
target_link_libraries(fly_fuzz PRIVATE fly_fuzz_targets Boost::program_options)
fly_configure_target(fly_fuzz)
add_test(NAME "fuzz/smoke" COMMAND fly_fuzz --seconds 5 --seed 1)
