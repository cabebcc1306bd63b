#pragma once

// For the few functions that a kernel and its reference share, so that they cannot differ.
#ifdef __CUDACC__
#define TRAINCOST_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define TRAINCOST_HOST_DEVICE inline
#endif
