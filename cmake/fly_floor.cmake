# One floor of the house = one folder = one namespace = one library: fly_add_floor(), fly_add_test_program().

# Users and the house itself write one spelling of an include, "fly/rpc/client.hpp"; in the tree the
# folders lie at the top, so the build folder holds links that give them that name.
if(NOT FLY_INCLUDE_DIR)
  set(FLY_INCLUDE_DIR "${PROJECT_BINARY_DIR}/include")
endif()

# Applies what all our own targets share: C++20, warnings, sanitizers. Nothing of it reaches users.
function(fly_configure_target target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # g++ 12 sees overlaps in std::string's own operator+ at -O2 (GCC bug 105651).
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  if(FLY_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(FLY_MUTANTS)
    target_compile_definitions(${target} PRIVATE FLY_MUTANTS)
  endif()
  if(FLY_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${FLY_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${FLY_SANITIZE})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # What a sanitizer adds hides from g++ that std::regex initializes its states (GCC bug 105562).
      target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
    endif()
  endif()
endfunction()

# fly_add_floor(NAME HEADERS a.hpp ... SOURCES a.cpp ... DEPENDS fly::lower CAF::core ...)
# Adds library fly_NAME (alias fly::NAME). Each header compiles alone: a source whose first include is its own header
# has shown that of it, and the target lone_headers compiles the others.
function(fly_add_floor name)
  cmake_parse_arguments(PARSE_ARGV 1 floor "" "" "HEADERS;SOURCES;DEPENDS;PRIVATE_DEPENDS")
  file(MAKE_DIRECTORY "${FLY_INCLUDE_DIR}/fly")
  file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}" "${FLY_INCLUDE_DIR}/fly/${name}" SYMBOLIC)
  add_library(fly_${name} ${floor_SOURCES})
  add_library(fly::${name} ALIAS fly_${name})
  list(TRANSFORM floor_HEADERS PREPEND "${FLY_INCLUDE_DIR}/fly/${name}/" OUTPUT_VARIABLE headers)
  target_sources(fly_${name} PUBLIC
    FILE_SET HEADERS BASE_DIRS "${FLY_INCLUDE_DIR}" FILES ${headers})
  target_link_libraries(fly_${name} PUBLIC ${floor_DEPENDS} PRIVATE ${floor_PRIVATE_DEPENDS})
  set_target_properties(fly_${name} PROPERTIES
    EXPORT_NAME ${name}
    DEFINE_SYMBOL "" # no source asks for it, and static and shared libraries are compiled alike
    POSITION_INDEPENDENT_CODE ON
    INSTALL_RPATH "$ORIGIN"
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  # A floor that uses one above it, or forgets a library, must not link.
  if(NOT FLY_SANITIZE)
    target_link_options(fly_${name} PRIVATE -Wl,--no-undefined)
  endif()
  fly_configure_target(fly_${name})
  if(FLY_BUILD_TESTS)
    fly_add_lone_headers(${name} "${floor_HEADERS}" "${floor_SOURCES}")
  endif()
endfunction()

function(fly_add_lone_headers name headers sources)
  set(lone)
  foreach(header IN LISTS headers)
    string(REGEX REPLACE "hpp$" "cpp" source "${header}")
    set(first)
    if(source IN_LIST sources)
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
      file(STRINGS "${source}" first REGEX "^#include" LIMIT_COUNT 1)
    endif()
    if(NOT first STREQUAL "#include \"fly/${name}/${header}\"")
      set(lone_source "${CMAKE_CURRENT_BINARY_DIR}/lone/${source}")
      file(CONFIGURE OUTPUT "${lone_source}" CONTENT "#include \"fly/${name}/${header}\"\n")
      list(APPEND lone "${lone_source}")
    endif()
  endforeach()
  if(NOT TARGET lone_headers)
    add_custom_target(lone_headers)
  endif()
  if(lone)
    add_library(fly_${name}_lone_headers OBJECT EXCLUDE_FROM_ALL ${lone})
    target_link_libraries(fly_${name}_lone_headers PRIVATE fly_${name})
    fly_configure_target(fly_${name}_lone_headers)
    add_dependencies(lone_headers fly_${name}_lone_headers)
  endif()
endfunction()

# fly_add_test_program(FLOOR SOURCES FLOOR/a_test.cpp ... [LINKS fly::rpc ...] [SERIAL a_test.cpp ...] [TIMEOUT s])
# One doctest program per floor. ctest gets one test per file, "rpc/registry", and one per case whose
# name starts with "fault N:", so that each fault of the originals can be run by its name.
function(fly_add_test_program floor)
  cmake_parse_arguments(PARSE_ARGV 1 program "" "TIMEOUT" "SOURCES;LINKS;SERIAL")
  if(NOT program_TIMEOUT)
    set(program_TIMEOUT 120)
  endif()
  set(target fly_${floor}_test)
  add_executable(${target} ${program_SOURCES})
  target_link_libraries(${target} PRIVATE ${program_LINKS} fly_test_support)
  fly_configure_target(${target})
  target_compile_options(${target} PRIVATE -O0) # they compile sooner; what they test is optimized
  foreach(source IN LISTS program_SOURCES)
    get_filename_component(stem "${source}" NAME_WE)
    string(REGEX REPLACE "_test$" "" room "${stem}")
    add_test(NAME "${floor}/${room}"
      COMMAND ${target} "--source-file=*/tests/${source}" "--test-case-exclude=fault *")
    set(tests "${floor}/${room}")
    file(STRINGS "${source}" faults REGEX "TEST_CASE[A-Z_]*\\(.*\"fault [0-9]+:")
    foreach(line IN LISTS faults)
      string(REGEX REPLACE ".*\"(fault [0-9]+:[^\"]*)\".*" "\\1" case "${line}")
      string(REPLACE "," "\\," pattern "${case}")
      add_test(NAME "${case}" COMMAND ${target} "--source-file=*/tests/${source}" "--test-case=${pattern}")
      list(APPEND tests "${case}")
    endforeach()
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
    set_tests_properties(${tests} PROPERTIES TIMEOUT ${program_TIMEOUT} LABELS ${floor})
    if(source IN_LIST program_SERIAL)
      set_tests_properties(${tests} PROPERTIES RUN_SERIAL ON)
    endif()
  endforeach()
endfunction()
