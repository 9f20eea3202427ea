# Run by CPack on the files of a package before it is made: in a .deb manual pages and the changelog are compressed, as
# Debian's policy asks, without a time stamp, so that the same files make the same package.
if(CPACK_GENERATOR STREQUAL "DEB")
  find_program(GZIP gzip REQUIRED)
  file(GLOB_RECURSE pages ${CPACK_TEMPORARY_DIRECTORY}/*.1 ${CPACK_TEMPORARY_DIRECTORY}/CHANGELOG.md)
  execute_process(COMMAND ${GZIP} -9nf ${pages} COMMAND_ERROR_IS_FATAL ANY)
endif()
