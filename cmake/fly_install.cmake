# Installs the libraries, their headers as <fly/...>, and what find_package(fly) needs.
include(CMakePackageConfigHelpers)
include(fly_pkgconfig)

install(TARGETS fly_actors fly_cluster fly_rpc fly_repo
  EXPORT fly-targets
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT fly-targets NAMESPACE fly:: DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/fly")
if(TARGET flycluster)
  install(TARGETS flycluster)
endif()
# A component of its own: whoever does not use it needs neither prometheus-cpp nor cpp-httplib.
if(TARGET fly_admin)
  install(TARGETS fly_admin
    EXPORT fly-admin-targets
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(EXPORT fly-admin-targets NAMESPACE fly:: DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/fly")
endif()
if(TARGET fly_testing)
  install(TARGETS fly_testing
    EXPORT fly-testing-targets
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(EXPORT fly-testing-targets NAMESPACE fly:: DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/fly")
endif()
configure_package_config_file(cmake/fly-config.cmake.in "${PROJECT_BINARY_DIR}/fly-config.cmake"
  INSTALL_DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/fly")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/fly-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/fly-config.cmake"
  "${PROJECT_BINARY_DIR}/fly-config-version.cmake"
  cmake/FindCAF.cmake cmake/FindCAres.cmake cmake/FindHttplib.cmake cmake/FindPQXX.cmake
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/fly")
