# Finds libpqxx (Debian's libpqxx-dev brings only a pkg-config file). Target: PQXX::pqxx. It needs libpq.
find_path(PQXX_INCLUDE_DIR pqxx/pqxx)
find_library(PQXX_LIBRARY pqxx)
find_library(PQXX_PQ_LIBRARY pq)
find_path(PQXX_PQ_INCLUDE_DIR libpq-fe.h PATH_SUFFIXES postgresql)
mark_as_advanced(PQXX_INCLUDE_DIR PQXX_LIBRARY PQXX_PQ_LIBRARY PQXX_PQ_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(PQXX REQUIRED_VARS PQXX_LIBRARY PQXX_PQ_LIBRARY PQXX_INCLUDE_DIR PQXX_PQ_INCLUDE_DIR)

if(PQXX_FOUND AND NOT TARGET PQXX::pqxx)
  add_library(PQXX::pqxx UNKNOWN IMPORTED)
  set_target_properties(PQXX::pqxx PROPERTIES
    IMPORTED_LOCATION "${PQXX_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${PQXX_INCLUDE_DIR};${PQXX_PQ_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${PQXX_PQ_LIBRARY}")
endif()
