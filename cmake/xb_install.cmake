# `cmake --install`, DESTDIR and `cpack`: the program, its manual pages and completions (which it writes itself, at each link),
# configurations, job scripts and documentation, in the places of GNUInstallDirs. Nothing installed knows the prefix: the
# program finds its data from its own folder. CPack makes a .deb (dependencies by dpkg-shlibdeps) and a .tar.gz.
include(GNUInstallDirs)

function(xb_install program)
  set(data ${CMAKE_INSTALL_DATADIR}/xbench)
  set(pages ${CMAKE_BINARY_DIR}/pages)
  file(RELATIVE_PATH data_from_program /prefix/${CMAKE_INSTALL_BINDIR} /prefix/${data})
  set_property(SOURCE ${CMAKE_SOURCE_DIR}/app/installed.cpp APPEND PROPERTY
    COMPILE_DEFINITIONS XB_DATA_FROM_PROGRAM="${data_from_program}")
  # What a sanitizer finds when a program ends is the tests' business.
  add_custom_command(TARGET ${program} POST_BUILD VERBATIM
    COMMAND ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0 $<TARGET_FILE:${program}> --print-pages ${pages})

  install(TARGETS ${program} RUNTIME)
  install(DIRECTORY ${pages}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 FILES_MATCHING PATTERN "*.1")
  install(FILES ${pages}/xbench DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${pages}/_xbench DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(FILES ${pages}/xbench.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
  install(DIRECTORY configs DESTINATION ${data} FILES_MATCHING PATTERN "*.json")
  install(FILES docs/config.schema.json DESTINATION ${data})
  install(DIRECTORY slurm DESTINATION ${data} USE_SOURCE_PERMISSIONS FILES_MATCHING PATTERN "*.sh" PATTERN "*.def")
  # In their folders, so that their links hold.
  install(FILES README.md CHANGELOG.md CONTRIBUTING.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
  install(DIRECTORY docs configs DESTINATION ${CMAKE_INSTALL_DOCDIR})
  install(DIRECTORY results DESTINATION ${CMAKE_INSTALL_DOCDIR} PATTERN runs EXCLUDE)
  install(FILES data/format.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/data)
  foreach(licence IN ITEMS LICENSE LICENSE.md COPYING)
    install(FILES ${licence} DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
  endforeach()
endfunction()

set(CPACK_GENERATOR TGZ)
find_program(XB_DPKG dpkg-deb)
if(XB_DPKG)
  list(APPEND CPACK_GENERATOR DEB)
endif()
set(CPACK_PACKAGE_NAME xbench)
set(CPACK_PACKAGE_CONTACT "xbench maintainers <maintainers@xbench.invalid>" CACHE STRING "Maintainer of the .deb")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "trains image classifiers in parallel and measures how that scales")
set(CPACK_PACKAGE_DESCRIPTION "Hand-written CPU kernels (AVX2, AVX-512) under OpenMP; training serially
and over MPI ranks (DDP, ZeRO-1/2/3) with the same weights bit for bit;
tables of speed-up, efficiency and accuracy of the same runs.")
set(CPACK_PACKAGE_INSTALL_DIRECTORY xbench)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/xb_package.cmake)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS openmpi-bin)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "slurm-client, bash-completion")
include(CPack)
