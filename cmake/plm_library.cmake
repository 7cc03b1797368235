# Warnings and sanitizers that hold for every target of ours.
set(PLM_SANITIZE "" CACHE STRING "Sanitizers to build with, such as address,undefined")

option(PLM_FUZZ "Instrument for libFuzzer (clang) and build tests/fuzz" OFF)

# For the proof that the differential tester finds bugs: src/base/planted_bug.h. Never where users' programs are built.
option(PLM_PLANTED_BUGS "Compile in bugs that PLM_PLANTED_BUG chooses from" OFF)
if(PLM_PLANTED_BUGS AND PROJECT_BINARY_DIR MATCHES "/release$")
  message(FATAL_ERROR "PLM_PLANTED_BUGS is for the preset planted only")
endif()

add_library(plm_flags INTERFACE)
target_compile_definitions(plm_flags INTERFACE $<$<BOOL:${PLM_PLANTED_BUGS}>:PLM_PLANTED_BUGS>)
target_compile_options(plm_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow)
if(NOT PLM_SANITIZE)
  # g++ 12 gives false alarms (maybe-uninitialized, array-bounds) in instrumented code.
  target_compile_options(plm_flags INTERFACE -Werror)
else()
  target_compile_options(plm_flags INTERFACE -fsanitize=${PLM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # Warnings are g++'s affair; these are those of clang alone, about CHECK(!"text") and the standard library.
  target_compile_options(plm_flags INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wno-string-conversion
                         -Wno-unknown-warning-option -Wno-deprecated-declarations>)
  target_link_options(plm_flags INTERFACE -fsanitize=${PLM_SANITIZE})
endif()
if(PLM_FUZZ)
  target_compile_options(plm_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Every program that ctest runs.
add_custom_target(plm_tests)

# plm_library(NAME SOURCES ... TESTS ... DEPENDS ... [TEST_DEPENDS ...])
# A layer as the static library plm_NAME, and its tests, which lie beside the
# code, as the program plm_NAME_test.
function(plm_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;TESTS;DEPENDS;TEST_DEPENDS" ${ARGN})
  if(ARG_SOURCES)
    add_library(plm_${name} STATIC ${ARG_SOURCES})
    target_include_directories(plm_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(plm_${name} PUBLIC ${ARG_DEPENDS} PRIVATE plm_flags)
  else()
    add_library(plm_${name} INTERFACE)
    target_include_directories(plm_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(plm_${name} INTERFACE ${ARG_DEPENDS})
  endif()
  if(ARG_TESTS)
    add_executable(plm_${name}_test ${ARG_TESTS})
    target_link_libraries(plm_${name}_test PRIVATE plm_${name} ${ARG_TEST_DEPENDS} plm_flags GTest::gmock GTest::gtest_main)
    # Tests compile faster so.
    if(PLM_SANITIZE)
      target_compile_options(plm_${name}_test PRIVATE -O0)
    else()
      target_compile_options(plm_${name}_test PRIVATE -O1)
    endif()
    # Most of a test's compile time is these headers. Not for the libraries: clang-tidy reads
    # their compile commands and cannot read g++'s precompiled headers.
    target_precompile_headers(plm_${name}_test PRIVATE <gmock/gmock.h> <gtest/gtest.h> <map> <string> <vector>)
    add_test(NAME ${name} COMMAND plm_${name}_test)
    add_dependencies(plm_tests plm_${name}_test)
  endif()
endfunction()
