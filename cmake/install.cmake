# `cmake --install` and `find_package(traincost)`.
include(CMakePackageConfigHelpers)
install(TARGETS traincost traincost_program EXPORT traincostTargets FILE_SET HEADERS)
install(EXPORT traincostTargets NAMESPACE traincost:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/traincost)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/traincostConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/traincostConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/traincost)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/traincostConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/traincostConfig.cmake ${PROJECT_BINARY_DIR}/traincostConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/traincost)
