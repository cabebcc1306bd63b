#pragma once

#include <dlfcn.h>

#include <initializer_list>
#include <stdexcept>
#include <string>

/// A vendor's shared library, opened when it is first asked for: a machine without it has a provider less, not a
/// program less.
namespace traincost::kernels::vendor {

class Library {
 public:
  /// The first of these names that the loader finds.
  Library(std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (handle_ == nullptr) handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) why_not_ = dlerror();
  }

  [[nodiscard]] bool is_there() const { return handle_ != nullptr; }
  [[nodiscard]] const std::string& why_not() const { return why_not_; }
  [[nodiscard]] void* handle() const { return handle_; }

  /// Sets a pointer to the function of that name. Throws when the library is older than that.
  template <class Function>
  void find(Function*& function, const char* name) const {
    function = reinterpret_cast<Function*>(dlsym(handle_, name));
    if (function == nullptr) throw std::runtime_error(dlerror());
  }

 private:
  void* handle_ = nullptr;
  std::string why_not_;
};

}  // namespace traincost::kernels::vendor
