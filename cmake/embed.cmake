# Turns the catalogue's TOML files and the shipped calibration into one C++ source each, so that the program needs no
# files at run time. `traincost::catalog::embedded("chips")` lists the texts.
function(traincost_embed out_variable)
  set(script ${PROJECT_SOURCE_DIR}/cmake/embed_file.cmake)
  set(sources)
  foreach(group IN ITEMS chips clusters models prices calibration)
    if(group STREQUAL "calibration")
      file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/results/calibration/*.json)
    else()
      file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/traincost/catalog/${group}/*.toml)
    endif()
    set(source ${PROJECT_BINARY_DIR}/embedded/${group}.cpp)
    add_custom_command(
      OUTPUT ${source}
      COMMAND ${CMAKE_COMMAND} -DOUT=${source} -DGROUP=${group} "-DFILES=${files}" -P ${script}
      DEPENDS ${files} ${script}
      VERBATIM)
    list(APPEND sources ${source})
  endforeach()
  set(${out_variable} ${sources} PARENT_SCOPE)
endfunction()
