fly_add_test_program(cluster
  SOURCES
    cluster/channel_line_test.cpp
    cluster/channel_test.cpp
    cluster/directory_test.cpp
    cluster/discovery_test.cpp
    cluster/dns_test.cpp
    cluster/duplicates_test.cpp
    cluster/frame_test.cpp
    cluster/handshake_test.cpp
    cluster/link_test.cpp
    cluster/membership_test.cpp
    cluster/mesh_test.cpp
    cluster/node_test.cpp
    cluster/options_test.cpp
    cluster/primary_test.cpp
    cluster/stranger_test.cpp
  LINKS fly::cluster)
