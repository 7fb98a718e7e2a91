fly_add_test_program(rpc
  SOURCES
    rpc/call_table_test.cpp
    rpc/codec_test.cpp
    rpc/json_codec_test.cpp
    rpc/message_test.cpp
    rpc/registry_test.cpp
    rpc/routes_test.cpp
    rpc/signature_test.cpp
    rpc/type_text_test.cpp
  LINKS fly::rpc)
