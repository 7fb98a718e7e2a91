# What fly stands on; every package is Debian's. FindCAF, FindCAres and Findlibpqxx live beside this file,
# because those packages bring no CMake files, and are installed with fly for its users. What is found here is
# seen in the whole build, so that a project that adds fly as a subfolder can link it.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(Threads REQUIRED)
find_package(CAF 0.17.6 REQUIRED COMPONENTS core io)
find_package(Boost 1.74 CONFIG REQUIRED COMPONENTS program_options)
find_package(OpenSSL 3.0 REQUIRED)
find_package(CAres REQUIRED)
find_package(PQXX REQUIRED)

if(FLY_BUILD_APPS OR FLY_BUILD_TESTS)
  find_package(nlohmann_json 3.11 REQUIRED)
endif()
if(FLY_BUILD_TESTS)
  find_package(doctest REQUIRED)
endif()
