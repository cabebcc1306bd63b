#pragma once

#include <fmt/format.h>

#include <cstring>
#include <string>
#include <vector>

#include "memory.hpp"
#include "session.hpp"

// Runs a few lines of PTX on one block.
namespace ptx::test {

inline constexpr std::size_t kMaxThreads = 128;

/// h1..h3, r1..r3, d1..d3, p1..p3 hold a thread's three inputs as 16, 32, 64 bits and predicate; the body leaves its
/// result in h9, r9, d9 or p9. `shared` bytes of shared memory are called buf.
struct Snippet {
  std::string body;
  char result = 'r';
  std::size_t shared = 16;
};

inline std::string kernel_text(const Snippet& snippet) {
  static constexpr std::string_view kHead = R"(
.version 9.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 in, .param .u64 out)
{{
  .reg .b16 h<20>;
  .reg .b32 r<20>;
  .reg .b64 d<20>;
  .reg .pred p<20>;
  .reg .b32 lane;
  .reg .b64 at, to;
  .shared .align 16 .b8 buf[{}];
  mov.u32 lane, %tid.x;
  ld.param.u64 at, [in];
  ld.param.u64 to, [out];
  mad.wide.u32 at, lane, 24, at;
  mad.wide.u32 to, lane, 8, to;
  ld.global.u64 d1, [at];
  ld.global.u64 d2, [at+8];
  ld.global.u64 d3, [at+16];
  cvt.u32.u64 r1, d1; cvt.u32.u64 r2, d2; cvt.u32.u64 r3, d3;
  cvt.u16.u64 h1, d1; cvt.u16.u64 h2, d2; cvt.u16.u64 h3, d3;
  setp.ne.s64 p1, d1, 0; setp.ne.s64 p2, d2, 0; setp.ne.s64 p3, d3, 0;
)";
  std::string tail;
  switch (snippet.result) {
    case 'h':
      tail = "cvt.u64.u16 d9, h9;";
      break;
    case 'r':
      tail = "cvt.u64.u32 d9, r9;";
      break;
    case 'p':
      tail = "selp.b64 d9, 1, 0, p9;";
      break;
    default:
      break;
  }
  return fmt::format(kHead, snippet.shared) + snippet.body + "\n" + tail + "\n  st.global.u64 [to], d9;\n  ret;\n}\n";
}

using Inputs = std::vector<std::array<std::uint64_t, 3>>;

/// The result of each thread. Throws PtxError, KernelFault.
inline std::vector<std::uint64_t> run_text(const Snippet& snippet, const Inputs& inputs) {
  LoadedModule module(kernel_text(snippet));
  const auto threads = static_cast<std::uint32_t>(inputs.size());
  void* in = memory().allocate(inputs.size() * 24);
  void* out = memory().allocate(inputs.size() * 8);
  std::memcpy(in, inputs.data(), inputs.size() * 24);
  memory().mark(in, inputs.size() * 24, kWritten);
  std::array<void*, 2> arguments{&in, &out};
  launch(module.program("k"), {.grid = {}, .block = {threads, 1, 1}}, arguments.data());
  std::vector<std::uint64_t> result(inputs.size());
  std::memcpy(result.data(), out, inputs.size() * 8);
  memory().release(in);
  memory().release(out);
  return result;
}

inline std::vector<std::uint64_t> run_text(const std::string& body, char result, const Inputs& inputs) {
  return run_text(Snippet{.body = body, .result = result}, inputs);
}

}  // namespace ptx::test
