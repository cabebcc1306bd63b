# CUDA is optional: found, the kernels are built; absent, everything else is. CI sets TRAINCOST_REQUIRE_CUDA.
include(CheckLanguage)
check_language(CUDA)
if(CMAKE_CUDA_COMPILER)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90a-real 90-virtual)  # no GPU at build time: never "native"
  endif()
  enable_language(CUDA)
  # CMake 3.25 does not know that nvcc 13 has C++20.
  if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  # Its FindCUDAToolkit sets a property of this target, which CUDA 13 no longer has and nobody here uses.
  if(NOT TARGET CUDA::nvToolsExt)
    add_library(CUDA::nvToolsExt INTERFACE IMPORTED)
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
elseif(TRAINCOST_REQUIRE_CUDA)
  message(FATAL_ERROR "nvcc not found and TRAINCOST_REQUIRE_CUDA is ON")
else()
  message(STATUS "nvcc not found: the kernels are not built; the cost model does not need them")
endif()
