#pragma once

#include <traincost/cost/kernel_fields.hpp>

/// What each family of published kernels times, into a workload.
namespace traincost::cost {

void grouped_gemm(KernelFields& f, Workload& out);
void moe_layer(KernelFields& f, Workload& out);
void moe_gate(KernelFields& f, Workload& out);
void moe_index(KernelFields& f, Workload& out);
void moe_permute(KernelFields& f, Workload& out);

void mha(KernelFields& f, Workload& out);
void gqa(KernelFields& f, Workload& out);
void mla_prefill(KernelFields& f, Workload& out);
void mla_decode(KernelFields& f, Workload& out);
void sparse_prefill(KernelFields& f, Workload& out);

void all_to_all(KernelFields& f, Workload& out);
void moe_layer_parallel(KernelFields& f, Workload& out);
void collective(KernelFields& f, Workload& out);

}  // namespace traincost::cost
