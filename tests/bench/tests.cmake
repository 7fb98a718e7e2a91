# The bench of calls: a driver, and a program for each system. gRPC and Cap'n Proto are built where
# tests/bench/run has installed them.
option(FLY_BENCH_PEERS "Build the bench's gRPC and Cap'n Proto" OFF)

add_library(fly_bench_peer STATIC bench/rpc/peer.cpp)
target_include_directories(fly_bench_peer PUBLIC "${PROJECT_SOURCE_DIR}")
fly_configure_target(fly_bench_peer)

add_executable(fly_bench_rpc bench/rpc/main.cpp bench/rpc/process.cpp)
target_link_libraries(fly_bench_rpc PRIVATE fly::cluster Boost::program_options nlohmann_json::nlohmann_json)
target_include_directories(fly_bench_rpc PRIVATE "${PROJECT_SOURCE_DIR}")
fly_configure_target(fly_bench_rpc)

function(fly_add_bench_system name)
  add_executable(fly_bench_${name} bench/rpc/${name}.cpp)
  target_link_libraries(fly_bench_${name} PRIVATE fly_bench_peer ${ARGN})
  fly_configure_target(fly_bench_${name})
  add_dependencies(fly_bench_rpc fly_bench_${name})
endfunction()

fly_add_bench_system(tcp)
fly_add_bench_system(fly fly::rpc)
fly_add_bench_system(caf CAF::io)

if(FLY_BENCH_PEERS)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(GRPC REQUIRED IMPORTED_TARGET grpc++ protobuf)
  pkg_check_modules(CAPNP REQUIRED IMPORTED_TARGET capnp-rpc)
  set(schema "${CMAKE_CURRENT_SOURCE_DIR}/bench/rpc")
  set(made "${CMAKE_CURRENT_BINARY_DIR}/bench")
  file(MAKE_DIRECTORY "${made}")
  add_custom_command(OUTPUT "${made}/echo.pb.cc" "${made}/echo.grpc.pb.cc"
    COMMAND protoc "--cpp_out=${made}" "--grpc_out=${made}" "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin"
      -I "${schema}" "${schema}/echo.proto"
    DEPENDS "${schema}/echo.proto")
  add_custom_command(OUTPUT "${made}/echo.capnp.c++"
    COMMAND capnp compile "-oc++:${made}" "--src-prefix=${schema}" "${schema}/echo.capnp"
    DEPENDS "${schema}/echo.capnp")
  add_library(fly_bench_schemas STATIC "${made}/echo.pb.cc" "${made}/echo.grpc.pb.cc" "${made}/echo.capnp.c++")
  target_include_directories(fly_bench_schemas SYSTEM PUBLIC "${made}")
  target_compile_features(fly_bench_schemas PUBLIC cxx_std_20)
  target_link_libraries(fly_bench_schemas PUBLIC PkgConfig::GRPC PkgConfig::CAPNP)
  fly_add_bench_system(grpc fly_bench_schemas)
  fly_add_bench_system(capnp fly_bench_schemas)
endif()

add_test(NAME "bench/rpc" COMMAND fly_bench_rpc --quick --system tcp fly caf)
set_tests_properties("bench/rpc" PROPERTIES TIMEOUT 120 RUN_SERIAL ON LABELS bench)
