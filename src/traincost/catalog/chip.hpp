#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <traincost/units/quantity.hpp>
#include <traincost/work/dtype.hpp>

namespace traincost::catalog {

/// An accelerator as its data sheet states it. One TOML file each under catalog/chips; dense (never sparse) rates.
/// Unknown is nullopt: an announced chip may lack almost everything.
struct Chip {
  std::string id;    // "h800-sxm5-80gb"
  std::string name;  // "H800 SXM5 80GB"
  std::string vendor;
  std::string arch;                  // "Hopper"
  std::string release_date;          // "2023-03-21", may be empty
  std::vector<std::string> aliases;  // how tables and papers write it

  std::optional<units::FlopsPerSecond> fp64_dense_flops, tf32_dense_flops, bf16_dense_flops, fp16_dense_flops,
      fp8_dense_flops, fp4_dense_flops, int8_dense_ops;
  std::optional<double> sm_count;  // SMs, compute units, AI cores
  std::optional<double> exponentials_per_sm_clock;
  std::optional<units::Bytes> memory_bytes, l2_bytes;
  std::optional<units::BytesPerSecond> memory_bytes_per_s;
  std::optional<units::BytesPerSecond> link_bytes_per_s;  // scale-up link, one direction
  std::optional<units::BytesPerSecond> host_bytes_per_s;  // PCIe, one direction
  std::optional<double> scale_up_gpus;                    // GPUs that the scale-up link joins
  std::optional<units::Watts> tdp_watts;
  std::optional<units::Watts> uncapped_tdp_watts;  // of the part whose rates are given, if an operator capped its power
  std::optional<units::Dollars> price_usd;

  // What the export rules ask for.
  std::optional<double> die_area_mm2;
  std::optional<bool> is_nonplanar, is_datacenter, is_china_sku;
  std::optional<double> tpp, tpp_bits, published_tpp;
  std::string tpp_format, published_eccn, memory_type, link_name, headquarters;

  std::string source, confirmed /* yes, partial, derived, announced, rumour, unconfirmed */, notes;
};

/// Dense rate for `dtype`, or of the format it falls back to: fp8 kinds -> bf16, bf16 <-> fp16, nvfp4 -> fp8 -> bf16.
/// `used` tells which. nullopt: no figure at all.
struct Rate {
  units::FlopsPerSecond flops_per_s;
  work::Dtype used;
};
std::optional<Rate> rate(const Chip& chip, work::Dtype dtype);

/// All embedded chips, sorted by id.
const std::vector<Chip>& chips();

/// Reads one chip from TOML text; `origin` names it in errors. Throws InputError: unknown or missing key, missing
/// source, negative or non-finite figure.
Chip parse_chip(std::string_view toml, const std::string& origin);

/// A user's own chips (--chip-file) before the embedded ones, so that find_chip meets them first.
std::vector<Chip> chips_with(const std::vector<std::filesystem::path>& files);

/// By id or alias, ignoring case, the maker's name before it and a remark or a count after it: "NVIDIA H200",
/// "H200 x8" and "H200 141GB (Azure ND H200 v5)" are one chip. nullptr if unknown.
const Chip* find_chip(const std::vector<Chip>& chips, std::string_view name);

/// Blackwell Ultra too: what differs is the arithmetic.
bool is_blackwell(const Chip& chip);

}  // namespace traincost::catalog
