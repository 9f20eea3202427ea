# What a build was made of, as JSON text in <build>/generated/build_info.h: commit and its date, compiler, flags, library versions.
# As a module it adds the target that refreshes the header; run with -P it writes the header, only when it changed.
if(CMAKE_SCRIPT_MODE_FILE)
  cmake_policy(VERSION 3.25)
  set(commit "unknown")
  set(dirty "null")
  string(TIMESTAMP date "%Y-%m-%d" UTC)  # SOURCE_DATE_EPOCH, where it is set
  find_program(GIT git)
  if(GIT AND EXISTS ${SOURCE_DIR}/.git)
    execute_process(COMMAND ${GIT} -C ${SOURCE_DIR} rev-parse HEAD OUTPUT_VARIABLE head RESULT_VARIABLE failed
      OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(NOT failed)
      set(commit ${head})
      execute_process(COMMAND ${GIT} -C ${SOURCE_DIR} log -1 --format=%cs OUTPUT_VARIABLE date OUTPUT_STRIP_TRAILING_WHITESPACE)
      execute_process(COMMAND ${GIT} -C ${SOURCE_DIR} status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
      set(dirty "false")
      if(changes)
        set(dirty "true")
      endif()
    endif()
  endif()
  file(READ ${OUTPUT}.in text)
  string(REPLACE "@commit@" "${commit}" text "${text}")
  string(REPLACE "\"@dirty@\"" "${dirty}" text "${text}")
  file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "${text}" @ONLY)
  return()
endif()

function(xb_build_info library)
  set(header ${CMAKE_BINARY_DIR}/generated/build_info.h)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}" flags)
  string(REPLACE ";" " " isas "${XB_ISAS}")
  if(XB_EMULATE_AVX512)
    string(APPEND isas " (AVX-512 emulated)")
  endif()
  file(WRITE ${header}.in "// Written by cmake/xb_build_info.cmake.
#pragma once
#define XB_BUILD_INFO R\"json({\"version\": \"${PROJECT_VERSION}\", \"commit\": \"@commit@\", \"date\": \"@date@\", \"dirty\": \"@dirty@\", \
\"compiler\": \"${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}\", \"build_type\": \"${CMAKE_BUILD_TYPE}\", \
\"flags\": \"${flags}\", \"sanitize\": \"${XB_SANITIZE}\", \"isas\": \"${isas}\", \
\"libraries\": {\"hdf5\": \"${HDF5_VERSION}\", \"openmp\": \"${OpenMP_CXX_VERSION}\", \"mpi_standard\": \"${MPI_C_VERSION}\", \
\"hwloc\": \"${hwloc_VERSION}\", \"xxhash\": \"${xxhash_VERSION}\", \"libpng\": \"${PNG_VERSION_STRING}\", \
\"libjpeg_turbo\": \"${libjpeg_VERSION}\", \"nlohmann_json\": \"${nlohmann_json_VERSION}\", \"fmt\": \"${fmt_VERSION}\", \
\"cli11\": \"${CLI11_VERSION}\"}})json\"
")
  add_custom_target(xb_build_info BYPRODUCTS ${header} COMMENT ""
    COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${CMAKE_SOURCE_DIR} -DOUTPUT=${header} -P ${CMAKE_SOURCE_DIR}/cmake/xb_build_info.cmake)
  add_dependencies(${library} xb_build_info)
  target_include_directories(${library} PRIVATE ${CMAKE_BINARY_DIR}/generated)
endfunction()
