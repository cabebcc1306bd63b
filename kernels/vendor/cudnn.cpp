#include <kernels/vendor/cudnn.hpp>

#include <kernels/common/cuda_check.hpp>
#include <kernels/vendor/library.hpp>

namespace cudnn_frontend {
// What the frontend's headers look functions up in (NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING).
void* cudnn_dlhandle = nullptr;
}  // namespace cudnn_frontend

namespace traincost::kernels::vendor {
namespace {

const Library& library() {
  static const Library kLibrary{"libcudnn.so.9"};
  cudnn_frontend::cudnn_dlhandle = kLibrary.handle();
  return kLibrary;
}

template <class Function>
Function* find(const char* name) {
  Function* function = nullptr;
  library().find(function, name);
  return function;
}

void check(cudnnStatus_t status, const char* what) {
  if (status != CUDNN_STATUS_SUCCESS)
    throw CudaError(std::string(what) + ": cudnnStatus_t " + std::to_string(static_cast<int>(status)));
}

cudnnHandle_t make_handle() {
  if (!library().is_there()) throw CudaError(library().why_not());
  cudnnHandle_t handle = nullptr;
  check(find<decltype(cudnnCreate)>("cudnnCreate")(&handle), "cudnnCreate");
  return handle;
}

}  // namespace

std::string why_no_cudnn() { return library().why_not(); }

cudnnHandle_t cudnn_handle() {
  static const cudnnHandle_t kHandle = make_handle();
  return kHandle;
}

void set_stream(cudnnHandle_t handle, cudaStream_t stream) {
  check(find<decltype(cudnnSetStream)>("cudnnSetStream")(handle, stream), "cudnnSetStream");
}

}  // namespace traincost::kernels::vendor
