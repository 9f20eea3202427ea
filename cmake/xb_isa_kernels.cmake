# Compiles every *.isa.cpp of kernels/ once for each instruction set, each into a namespace of its own (XB_ISA_NAMESPACE),
# at -O3 in every build type, without exceptions, RTTI, LTO or sanitizers; see DESIGN: kernels/simd.h and
# tests/house/isa_symbols.sh, which checks that nothing leaves the namespace.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(XB_ISAS portable avx2 avx512)
else()
  set(XB_ISAS portable)
endif()
set(xb_isa_flags_portable "")
set(xb_isa_flags_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(xb_isa_flags_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mbmi2 -mprefer-vector-width=512)

function(xb_isa_kernels library)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*.isa.cpp)
  if(NOT sources)
    return()
  endif()
  foreach(isa IN LISTS XB_ISAS)
    add_library(xb_kernels_${isa} OBJECT ${sources})
    target_include_directories(xb_kernels_${isa} PRIVATE ${CMAKE_SOURCE_DIR})
    target_compile_definitions(xb_kernels_${isa} PRIVATE XB_ISA_NAMESPACE=isa_${isa} XB_ISA=${isa})
    target_compile_options(xb_kernels_${isa} PRIVATE -O3 -g0 -fno-exceptions -fno-rtti -fno-lto -fno-math-errno
      -fno-trapping-math -Wall -Wextra -Wshadow $<$<BOOL:${XB_WERROR}>:-Werror> ${xb_isa_flags_${isa}})
    target_sources(${library} PRIVATE $<TARGET_OBJECTS:xb_kernels_${isa}>)
    string(TOUPPER XB_HAVE_ISA_${isa} have_isa)
    target_compile_definitions(${library} PRIVATE ${have_isa}=1)   # for kernels/registry.cpp
  endforeach()
endfunction()
