# Finds cpp-httplib as Debian builds it: a library, and a header whose classes have other members where a feature is
# compiled in. What it was built with stands in its pkg-config file; a program that does not define the same is
# corrupted at run time. Target: Httplib::httplib.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(PC_Httplib QUIET cpp-httplib)
endif()

find_path(Httplib_INCLUDE_DIR httplib.h HINTS ${PC_Httplib_INCLUDE_DIRS})
find_library(Httplib_LIBRARY cpp-httplib HINTS ${PC_Httplib_LIBRARY_DIRS})
mark_as_advanced(Httplib_INCLUDE_DIR Httplib_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Httplib REQUIRED_VARS Httplib_LIBRARY Httplib_INCLUDE_DIR PC_Httplib_FOUND)

if(Httplib_FOUND AND NOT TARGET Httplib::httplib)
  add_library(Httplib::httplib UNKNOWN IMPORTED)
  set_target_properties(Httplib::httplib PROPERTIES
    IMPORTED_LOCATION "${Httplib_LIBRARY}"
    INTERFACE_COMPILE_OPTIONS "${PC_Httplib_CFLAGS_OTHER}"
    INTERFACE_INCLUDE_DIRECTORIES "${Httplib_INCLUDE_DIR}")
  if("${PC_Httplib_CFLAGS_OTHER}" MATCHES "OPENSSL")
    # Debian 13's header calls it itself; a static fly brings it anyway, a shared one does not.
    find_package(OpenSSL REQUIRED COMPONENTS Crypto)
    set_property(TARGET Httplib::httplib PROPERTY INTERFACE_LINK_LIBRARIES OpenSSL::Crypto)
  endif()
endif()
