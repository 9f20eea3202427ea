# The GPU half of kernels/ (XB_CUDA): every *.cu becomes one fat binary that is embedded as it is, every *.cuda.cpp the host side
# of its rows. The generated list of both (kernels/cuda/images.h) is made of the file names: kernels/loss/loss.cu is the image
# "loss", kernels/loss/loss.cuda.cpp gives KernelRows cuda_loss_rows(). No CUDA library is linked.
# PTX of sm_80 for every GPU, and machine code for those of XB_CUDA_CUBINS; uncompressed, so that the emulated GPU reads it.
set(XB_CUDA_CUBINS 80 90a CACHE STRING "GPUs that machine code is built for (80 90a); none: PTX only, for quick builds")

function(xb_cuda_kernels library)
  if(NOT XB_HAVE_CUDA)
    target_sources(${library} PRIVATE ${CMAKE_SOURCE_DIR}/kernels/cuda/no_cuda.cpp)
    return()
  endif()
  set(gpu_code -gencode arch=compute_80,code=compute_80)
  foreach(gpu IN LISTS XB_CUDA_CUBINS)
    list(APPEND gpu_code -gencode arch=compute_${gpu},code=sm_${gpu})
  endforeach()

  file(GLOB_RECURSE device_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*.cu)
  file(GLOB_RECURSE host_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*.cuda.cpp)
  set(folder ${CMAKE_BINARY_DIR}/cuda)
  set(code "// Written by cmake/xb_cuda_kernels.cmake.\n#include \"kernels/cuda/images.h\"\n\n")
  set(images "")
  set(fatbins "")
  foreach(source IN LISTS device_sources)
    get_filename_component(stem ${source} NAME_WE)
    set(fatbin ${folder}/${stem}.fatbin)
    list(APPEND fatbins ${fatbin})
    add_custom_command(OUTPUT ${fatbin} DEPENDS ${source} DEPFILE ${fatbin}.d COMMENT "nvcc ${stem}.cu"
      COMMAND ${XB_NVCC} -fatbin ${gpu_code} -O3 -lineinfo -std=c++20 --compress-mode none -Xptxas -v -I${CMAKE_SOURCE_DIR}
        -MD -MF ${fatbin}.d -MT ${fatbin} ${source} -o ${fatbin} > ${fatbin}.log 2>&1 || (cat ${fatbin}.log && false))
    string(APPEND code "asm(\".section .rodata\\n.balign 64\\nxb_image_${stem}:\\n.incbin \\\"${fatbin}\\\"\\n"
      "xb_image_end_${stem}:\\n.byte 0\\n.previous\");\n"
      "extern \"C\" const char xb_image_${stem}[], xb_image_end_${stem}[];\n")
    string(APPEND images
      "        {\"${stem}\", xb_image_${stem}, static_cast<size_t>(xb_image_end_${stem} - xb_image_${stem})},\n")
  endforeach()
  file(MAKE_DIRECTORY ${folder})

  string(APPEND code "\nnamespace xbench {\n\n")
  set(rows "")
  foreach(source IN LISTS host_sources)
    get_filename_component(stem ${source} NAME_WE)
    string(APPEND code "KernelRows cuda_${stem}_rows();\n")
    string(APPEND rows "        cuda_${stem}_rows,\n")
  endforeach()
  string(APPEND code "\nstd::span<const CudaImage> cuda_images() {\n    static const CudaImage all[] = {\n${images}    };\n"
    "    return all;\n}\n\nstd::span<KernelRows (*const)()> cuda_row_lists() {\n"
    "    static KernelRows (*const all[])() = {\n${rows}    };\n    return all;\n}\n\n}  // namespace xbench\n")
  set(generated ${CMAKE_BINARY_DIR}/generated/cuda_images.cpp)
  file(WRITE ${generated}.new "${code}")
  configure_file(${generated}.new ${generated} COPYONLY)  # touches the file only when it changed
  set_property(SOURCE ${generated} APPEND PROPERTY OBJECT_DEPENDS "${fatbins}")

  file(GLOB own_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.cpp)
  list(FILTER own_sources EXCLUDE REGEX "/no_cuda\\.cpp$")
  target_sources(${library} PRIVATE ${own_sources} ${host_sources} ${generated})
  target_include_directories(${library} SYSTEM PUBLIC ${XB_CUDA_INCLUDE})
  target_link_libraries(${library} PRIVATE ${CMAKE_DL_LIBS})
endfunction()
