# ccache is used when present: CI builds the same files for the program, the tests and clang-tidy.
find_program(TRAINCOST_CCACHE ccache)
if(TRAINCOST_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${TRAINCOST_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${TRAINCOST_CCACHE})
endif()
