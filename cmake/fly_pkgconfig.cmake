# Installs fly.pc, for builds without CMake. It finds its prefix from where it lies, so that the installed tree can be
# moved. Of a static build whoever links needs what fly itself is made of; a shared one has its own.
file(RELATIVE_PATH FLY_PKGCONFIG_UP "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
if(BUILD_SHARED_LIBS)
  set(FLY_PKGCONFIG_REQUIRES "libpqxx")
  set(FLY_PKGCONFIG_REQUIRES_PRIVATE "libpq, libcares, libcrypto")
else()
  set(FLY_PKGCONFIG_REQUIRES "libpqxx, libpq, libcares, libcrypto")
  set(FLY_PKGCONFIG_REQUIRES_PRIVATE "")
endif()
configure_file("${CMAKE_CURRENT_LIST_DIR}/fly.pc.in" "${PROJECT_BINARY_DIR}/fly.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/fly.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
