# Puts kernels/<op>/problems.cfg into the program, so that `xbench kernels` finds them wherever it runs: one generated .cpp
# with their texts (bench/kernels/kernel_problems.h). Editing a list configures again.
function(xb_problem_lists library)
  file(GLOB lists CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*/problems.cfg)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${lists})
  set(code "// Written by cmake/xb_problem_lists.cmake.\n#include \"bench/kernels/kernel_problems.h\"\n\nnamespace xbench {\n\n")
  string(APPEND code "std::vector<ProblemListText> problem_list_texts() {\n    return {\n")
  foreach(list IN LISTS lists)
    file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR} ${list})
    file(READ ${list} text)
    string(APPEND code "        {\"${name}\", R\"problems(${text})problems\"},\n")
  endforeach()
  string(APPEND code "    };\n}\n\n}  // namespace xbench\n")
  set(generated ${CMAKE_BINARY_DIR}/generated/problem_lists.cpp)
  file(WRITE ${generated}.new "${code}")
  configure_file(${generated}.new ${generated} COPYONLY)  # touches the file only when it changed
  target_sources(${library} PRIVATE ${generated})
endfunction()
