#pragma once

#include <kernels/common/vec8.cuh>
#include <kernels/mla_decode/sm90/layout.cuh>

/// The warpgroup that brings queries and tiles.
namespace traincost::kernels::mla_decode::sm90 {

/// Which phase of its barriers a producer waits for.
struct ProducerPhases {
  std::uint32_t queries = 1, tiles = 3;  // a bit for each buffer; all is free in the beginning

  __device__ __forceinline__ std::uint32_t tile(int buffer) const { return tiles >> buffer & 1; }
  __device__ __forceinline__ void next(int buffer) { tiles ^= 1U << buffer; }
};

__device__ __forceinline__ void bring_queries(const Shared& shared, const CUtensorMap* queries, const Piece& piece,
                                              int first_row, ProducerPhases& phases) {
  ptx::mbarrier_wait(shared.queries_empty(), phases.queries);
  phases.queries ^= 1;
  ptx::mbarrier_arrive_expect_tx(shared.queries_full(), kTileBytes);
  for (int i = 0; i < kBoxes; ++i)
    ptx::cp_async_bulk_tensor_3d(shared.queries() + i * kBoxBytes, queries, i * kBoxColumns, first_row, piece.sequence,
                                 shared.queries_full());
}

/// The physical page of a tile, 0 behind the piece.
__device__ __forceinline__ int page_of(const Params& p, const Piece& piece, int tile) {
  if (tile >= tiles_of(piece)) return 0;
  return p.block_table[row_offset(piece.sequence, p.max_pages) + piece.begin_page + tile];
}

/// bf16: by tensor copies. One thread.
template <class V>
__device__ __forceinline__ void bring_tiles(const Params& p, const Shared& shared, const CUtensorMap* cache,
                                            const Piece& piece, ProducerPhases& phases) {
  constexpr std::uint16_t kAll = (1 << V::kCluster) - 1;
  const int rank = V::kCluster == 1 ? 0 : static_cast<int>(ptx::cluster_ctarank());
  const int tiles = tiles_of(piece);
  int next_page = page_of(p, piece, 0);
  for (int tile = 0; tile < tiles; ++tile) {
    const int buffer = tile % 2;
    const int page = next_page;
    next_page = page_of(p, piece, tile + 1);
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const std::uint32_t full = shared.full(buffer, part);
      ptx::mbarrier_wait_cluster(shared.empty(buffer, part), phases.tile(buffer));
      ptx::mbarrier_arrive_expect_tx(full, boxes(part) * kBoxBytes);
#pragma unroll
      for (int i = 0; i < boxes(part); ++i) {
        if (i % V::kCluster != rank) continue;
        const int box = box_of(buffer, part, i);
        const std::uint32_t to = shared.box(buffer, box);
        if constexpr (V::kCluster == 1)
          ptx::cp_async_bulk_tensor_3d(to, cache, box * kBoxColumns, 0, page, full);
        else
          ptx::cp_async_bulk_tensor_3d_multicast(to, cache, box * kBoxColumns, 0, page, full, kAll);
      }
    }
    phases.next(buffer);
  }
}

/// Four e4m3 codes as bf16, exact. Sign and seven bits moved into place make a bf16 whose exponent is 120 too small,
/// subnormals included; NaN would come out as 480.
__device__ __forceinline__ uint2 bf16_of_e4m3(std::uint32_t codes) {
  const auto pair = [](std::uint32_t sign_extended) {
    constexpr std::uint32_t kTwoTo120 = 0x7b807b80;
    const std::uint32_t bits = sign_extended << 4 & 0x87f087f0U;
    std::uint32_t value;
    asm("mul.rn.bf16x2 %0, %1, %2;" : "=r"(value) : "r"(bits), "r"(kTwoTo120));
    return value;
  };
  std::uint32_t low, high;  // the upper byte of each half repeats the sign of the lower
  asm("prmt.b32 %0, %1, 0, 0x9180;" : "=r"(low) : "r"(codes));
  asm("prmt.b32 %0, %1, 0, 0xb3a2;" : "=r"(high) : "r"(codes));
  return make_uint2(pair(low), pair(high));
}

/// A scale as the sum of two bf16, each in both halves: products with it are rounded once.
struct SplitScale {
  std::uint32_t high, low;

  __device__ __forceinline__ explicit SplitScale(float scale) {
    const float rounded = __bfloat162float(__float2bfloat16_rn(scale));
    high = pack_bf16(rounded, rounded);
    low = pack_bf16(scale - rounded, scale - rounded);
  }
  __device__ __forceinline__ std::uint32_t times(std::uint32_t pair) const {
    std::uint32_t product;
    asm("mul.rn.bf16x2 %0, %1, %2;" : "=r"(product) : "r"(pair), "r"(low));
    asm("fma.rn.bf16x2 %0, %1, %2, %0;" : "+r"(product) : "r"(pair), "r"(high));
    return product;
  }
};

__device__ __forceinline__ uint4 scaled(uint2 codes, const SplitScale& scale) {
  const uint2 a = bf16_of_e4m3(codes.x);
  const uint2 b = bf16_of_e4m3(codes.y);
  return make_uint4(scale.times(a.x), scale.times(a.y), scale.times(b.x), scale.times(b.y));
}

__device__ __forceinline__ bool has_nan(const uint4& codes) {
  const auto carry = [](std::uint32_t x) { return (x & 0x7f7f7f7fU) + 0x01010101U; };  // into bit 7
  return ((carry(codes.x) | carry(codes.y) | carry(codes.z) | carry(codes.w)) & 0x80808080U) != 0;
}

__device__ __forceinline__ void store_shared(std::uint32_t at, const uint4& x) {
  asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(at), "r"(x.x), "r"(x.y), "r"(x.z), "r"(x.w) : "memory");
}

/// A page of the fp8 cache, of which `tokens` exist; the others become zeros.
struct RawPage {
  const char* data;
  int tokens;
};

/// Half of the latent of a page's tokens on its way through the registers of the warpgroup: sixteen lanes take a token,
/// a warpgroup eight at once.
struct RawHalf {
  static constexpr int kLanes = 16;
  static constexpr int kRowsAtOnce = kWarpgroup / kLanes;
  static constexpr int kLoads = kTokens / kRowsAtOnce;
  uint4 codes[kLoads];
  float scale;  // a warp's tokens and this half have one for each lane: of load lane() / 4, see scale_of()

  __device__ __forceinline__ static int row() { return thread() / kLanes; }
  __device__ __forceinline__ static int chunk() { return thread() % kLanes; }  // of sixteen columns

  /// Where this thread reads its first token; the others follow at constant distances. Opaque to the compiler, which
  /// would keep every address in a register of its own.
  struct Source {
    const char* codes;
    int rows;  // tokens that exist from the first on

    __device__ __forceinline__ Source(const RawPage& page, int half)
        : codes(page.data + row() * kFp8TokenBytes + half * kHalf + chunk() * 16), rows(page.tokens - row()) {
      asm volatile("" : "+l"(codes), "+r"(rows));
    }
  };
  __device__ __forceinline__ void load(int i, const Source& from) {
    const bool exists = i * kRowsAtOnce < from.rows;
    const char* at = from.codes + i * kRowsAtOnce * kFp8TokenBytes;
    codes[i] = exists ? *reinterpret_cast<const uint4*>(at) : make_uint4(0, 0, 0, 0);
  }

  __device__ __forceinline__ static float load_scale(const RawPage& page, int half) {
    const int token = lane() / 4 * kRowsAtOnce + warp() * 2 + lane() / 2 % 2;
    const char* scales = page.data + token * kFp8TokenBytes + kScaleOffset;
    return token < page.tokens ? reinterpret_cast<const float*>(scales)[half * 2 + lane() % 2] : 0;
  }
  __device__ __forceinline__ float scale_of(int i) const {
    return __shfl_sync(0xffffffffU, scale, i * 4 + lane() / kLanes * 2 + chunk() * 16 / kScaleBlock);
  }

  /// Where in its box a token's first (0) or second eight columns go. Of eight neighbouring lanes four begin with the
  /// second: else they would meet in the banks.
  __device__ __forceinline__ static bool begins_with_second() { return chunk() / 4 % 2 != 0; }
  __device__ __forceinline__ static std::uint32_t place(std::uint32_t first_box, int eight) {
    static_assert(kRowsAtOnce == 8, "the swizzle repeats every eight rows");
    return first_box + chunk() / 4 * kBoxBytes + row() * 128 + ((chunk() % 4 * 2 + eight) ^ row()) * 16;
  }

  /// `first`, `second`: places of the eight columns that are written first and second.
  __device__ __forceinline__ void expand(int i, std::uint32_t first, std::uint32_t second) const {
    const uint4 x = codes[i];
    // A NaN makes the token's score one, and so all that the token is part of: its neighbours may be NaN, too.
    const float scale_here = scale_of(i);
    const SplitScale split(has_nan(x) ? __int_as_float(0x7fffffff) : scale_here);
    const uint2 low = make_uint2(x.x, x.y);
    const uint2 high = make_uint2(x.z, x.w);
    const bool is_swapped = begins_with_second();
    store_shared(first + i * kRowsAtOnce * 128, scaled(is_swapped ? high : low, split));
    store_shared(second + i * kRowsAtOnce * 128, scaled(is_swapped ? low : high, split));
  }
};

/// Starts the copy of a page's rotary elements: eight lanes take a token.
__device__ __forceinline__ void copy_rope(const RawPage& page, std::uint32_t box) {
  constexpr int kLanes = 8;
  constexpr int kRowsAtOnce = kWarpgroup / kLanes;
  const int row = thread() / kLanes;
  const int chunk = thread() % kLanes;
  const char* from = page.data + row * kFp8TokenBytes + kRopeOffset + chunk * 16;
  const std::uint32_t to = box + row * 128 + (chunk ^ (row % 8)) * 16;
#pragma unroll
  for (int i = 0; i < kTokens / kRowsAtOnce; ++i)
    ptx::cp_async_16(to + i * kRowsAtOnce * 128, from + i * kRowsAtOnce * kFp8TokenBytes,
                     i * kRowsAtOnce < page.tokens - row ? 16 : 0);
  ptx::cp_async_commit_group();
}

/// Written by all threads of the warpgroup: one of each warp says so.
__device__ __forceinline__ void publish(std::uint32_t full) {
  ptx::fence_proxy_async();
  arrive(full);
}

/// fp8: through registers, where tokens become bf16. Each load is started when its registers become free, half a tile
/// before its turn. The whole warpgroup.
__device__ __forceinline__ void expand_tiles(const Params& p, const Shared& shared, const Piece& piece,
                                             ProducerPhases& phases) {
  const int tiles = tiles_of(piece);
  const auto raw_page = [&](int page, int tile) {
    return RawPage{static_cast<const char*>(p.cache) + row_offset(page, kTokens) * kFp8TokenBytes,
                   tile < tiles ? piece.length - first_token(piece, tile) : 0};
  };
  RawPage page = raw_page(page_of(p, piece, 0), 0);
  int next_page = page_of(p, piece, 1);
  RawHalf raw;
  const RawHalf::Source from(page, half_of(0, 0));
#pragma unroll
  for (int i = 0; i < RawHalf::kLoads; ++i) raw.load(i, from);
  raw.scale = RawHalf::load_scale(page, half_of(0, 0));
  for (int tile = 0; tile < tiles; ++tile) {
    const int buffer = tile % 2;
#pragma unroll 1
    for (int part = 0; part < kParts; ++part) {
      ptx::mbarrier_wait(shared.empty(buffer, part), phases.tile(buffer));
      if (part == 1) {
        copy_rope(page, shared.box(buffer, kRopeBox));
        page = raw_page(next_page, tile + 1);  // from here on the next tile is loaded
        next_page = page_of(p, piece, tile + 2);
      }
      const int next_half = part == 0 ? half_of(buffer, 1) : half_of(1 - buffer, 0);
      const RawHalf::Source next(page, next_half);
      const float next_scale = RawHalf::load_scale(page, next_half);
      const std::uint32_t box = shared.box(buffer, box_of(buffer, part, 0));
      std::uint32_t first = RawHalf::place(box, RawHalf::begins_with_second() ? 1 : 0);
      std::uint32_t second = RawHalf::place(box, RawHalf::begins_with_second() ? 0 : 1);
      asm volatile("" : "+r"(first), "+r"(second));
#pragma unroll
      for (int i = 0; i < RawHalf::kLoads; ++i) {
        raw.expand(i, first, second);
        raw.load(i, next);
        __syncwarp();  // else ptxas expands several at once, for which the registers do not suffice
      }
      raw.scale = next_scale;
      ptx::cp_async_wait_group<0>();
      publish(shared.full(buffer, part));
    }
    phases.next(buffer);
  }
}

}  // namespace traincost::kernels::mla_decode::sm90
