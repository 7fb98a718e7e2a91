fly_add_test_program(cluster
  SOURCES
    cluster/dns_test.cpp
    cluster/duplicates_test.cpp
    cluster/link_test.cpp
    cluster/node_test.cpp
    cluster/stranger_test.cpp
  LINKS fly::cluster)
