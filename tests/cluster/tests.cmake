fly_add_test_program(cluster
  SOURCES
    cluster/node_test.cpp
  LINKS fly::cluster)
