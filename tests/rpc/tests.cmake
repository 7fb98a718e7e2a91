# A member as a process of its own, for tests that kill it.
add_executable(fly_rpc_peer rpc/peer.cpp)
target_link_libraries(fly_rpc_peer PRIVATE fly::rpc)
target_include_directories(fly_rpc_peer PRIVATE "${PROJECT_SOURCE_DIR}")
fly_configure_target(fly_rpc_peer)

fly_add_test_program(rpc
  SOURCES
    rpc/admission_test.cpp
    rpc/call_observer_test.cpp
    rpc/call_parts_test.cpp
    rpc/call_table_test.cpp
    rpc/calls_within_calls_test.cpp
    rpc/cancel_test.cpp
    rpc/client_retries_test.cpp
    rpc/client_test.cpp
    rpc/codec_test.cpp
    rpc/endpoint_core_test.cpp
    rpc/endpoint_test.cpp
    rpc/explain_test.cpp
    rpc/failover_test.cpp
    rpc/health_test.cpp
    rpc/interceptor_test.cpp
    rpc/json_codec_test.cpp
    rpc/late_frames_test.cpp
    rpc/letter_test.cpp
    rpc/message_test.cpp
    rpc/own_answers_test.cpp
    rpc/parcel_test.cpp
    rpc/registry_test.cpp
    rpc/remote_actor_frames_test.cpp
    rpc/remote_actor_test.cpp
    rpc/request_table_test.cpp
    rpc/retry_budget_test.cpp
    rpc/routes_test.cpp
    rpc/server_test.cpp
    rpc/shapes_test.cpp
    rpc/signature_test.cpp
    rpc/ticket_test.cpp
    rpc/tools_test.cpp
    rpc/traceparent_test.cpp
    rpc/type_text_test.cpp
    rpc/verbs_test.cpp
  LINKS fly::rpc)
add_dependencies(fly_rpc_test fly_rpc_peer)
target_compile_definitions(fly_rpc_test PRIVATE FLY_RPC_PEER="$<TARGET_FILE:fly_rpc_peer>")

# A short run here; a million calls with `fly_many_calls` alone, best built with the address sanitizer.
add_executable(fly_many_calls rpc/many_calls.cpp)
target_link_libraries(fly_many_calls PRIVATE fly::rpc Boost::program_options)
target_include_directories(fly_many_calls PRIVATE "${PROJECT_SOURCE_DIR}")
fly_configure_target(fly_many_calls)
add_test(NAME "rpc/many calls" COMMAND fly_many_calls --calls 20000)
set_tests_properties("rpc/many calls" PROPERTIES TIMEOUT 120)

# Strangers at the port; longer with `fly_hostile_port --seconds 10`.
add_executable(fly_hostile_port rpc/hostile_port.cpp)
target_link_libraries(fly_hostile_port PRIVATE fly::rpc Boost::program_options)
target_include_directories(fly_hostile_port PRIVATE "${PROJECT_SOURCE_DIR}")
fly_configure_target(fly_hostile_port)
add_test(NAME "rpc/hostile port" COMMAND fly_hostile_port --seconds 0.5)
set_tests_properties("rpc/hostile port" PROPERTIES TIMEOUT 180 SKIP_RETURN_CODE 77 RUN_SERIAL ON)
