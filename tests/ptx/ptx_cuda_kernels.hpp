#pragma once

#include <cuda_runtime_api.h>

void launch_add(const float* a, const float* b, float* out, int n, cudaStream_t stream);
void launch_sum(const float* in, float* out, int n, cudaStream_t stream);
void launch_histogram(const int* keys, int* counts, int n, int bins, cudaStream_t stream);
void launch_functions(const float* x, float* out, int n, cudaStream_t stream);
void launch_sort(const unsigned* keys, unsigned* sorted, int* places, int* scanned, cudaStream_t stream);
void launch_vote(const int* in, unsigned* out, cudaStream_t stream);
void launch_grid(unsigned* arrived, unsigned* out, int blocks, cudaStream_t stream);
void launch_chain(const int* in, int* sums, unsigned* ready, int blocks, cudaStream_t stream);
int read_visits();
