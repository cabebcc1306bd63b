#pragma once

#include <cudnn_frontend.h>

#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <kernels/common/device_buffer.hpp>
#include <kernels/vendor/cudnn.hpp>

/// cuDNN's frontend, as its providers use it. It takes a minute to compile: only for cudnn*.cpp.
namespace traincost::kernels::vendor {

namespace fe = cudnn_frontend;
using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;

inline void check(fe::error_t&& error) {
  if (error.is_bad()) throw CudaError("cuDNN: " + error.get_message());
}

struct Layout {
  std::vector<std::int64_t> dim, stride;
};
/// [b, s, h, d] in memory, which cuDNN names in the order b, h, s, d.
inline Layout bshd(std::int64_t b, std::int64_t s, std::int64_t h, std::int64_t d) {
  return {{b, h, s, d}, {s * h * d, d, h * d, 1}};
}

inline Tensor input(fe::graph::Graph& graph, std::int64_t name, const Layout& at,
                    fe::DataType_t type = fe::DataType_t::BFLOAT16) {
  return graph.tensor(
      fe::graph::Tensor_attributes().set_uid(name).set_dim(at.dim).set_stride(at.stride).set_data_type(type));
}
inline void output(const Tensor& tensor, std::int64_t name, const Layout& at,
                   fe::DataType_t type = fe::DataType_t::BFLOAT16) {
  tensor->set_output(true).set_uid(name).set_dim(at.dim).set_stride(at.stride).set_data_type(type);
}

/// cuDNN takes what it only reads by void* too.
template <class T>
void* pointer(const T* p) {
  return const_cast<T*>(p);
}

/// One operation on bf16 with fp32 within, built once.
class CudnnGraph {
 public:
  explicit CudnnGraph(const std::function<void(fe::graph::Graph&)>& add) {
    graph_.set_io_data_type(fe::DataType_t::BFLOAT16)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    add(graph_);
    check(graph_.build(cudnn_handle(), {fe::HeurMode_t::A}));
    std::int64_t bytes = 0;
    check(graph_.get_workspace_size(bytes));
    workspace_ = DeviceBuffer<char>(static_cast<std::size_t>(bytes));
  }

  void launch(std::unordered_map<std::int64_t, void*> tensors, cudaStream_t stream) {
    const auto handle = cudnn_handle();
    set_stream(handle, stream);
    check(graph_.execute(handle, tensors, workspace_.data()));
  }

 private:
  fe::graph::Graph graph_;
  DeviceBuffer<char> workspace_;
};

}  // namespace traincost::kernels::vendor
