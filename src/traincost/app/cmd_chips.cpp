#include <traincost/app/command.hpp>
#include <traincost/app/fields.hpp>
#include <traincost/app/lookup.hpp>
#include <traincost/catalog/chip.hpp>
#include <traincost/catalog/text_file.hpp>
#include <traincost/units/quantity.hpp>

namespace traincost::app {
namespace {

using catalog::Chip;
using report::Cell;
using units::kGiga;
using units::kTera;

template <auto Member>
Cell figure(const Chip& chip) {
  return report::cell(chip.*Member);
}
template <auto Member>
Cell text(const Chip& chip) {
  return chip.*Member;
}

// In the list of all chips; SI under the key, the table in the unit of the title.
const Field<Chip> kListed[] = {
    {{"id", "chip"}, text<&Chip::id>},
    {{"arch", "architecture"}, text<&Chip::arch>},
    {{"bf16_dense_flops", "bf16 TFLOPS", kTera, 0}, figure<&Chip::bf16_dense_flops>},
    {{"fp8_dense_flops", "fp8 TFLOPS", kTera, 0}, figure<&Chip::fp8_dense_flops>},
    {{"memory_bytes", "memory GB", kGiga, 0}, figure<&Chip::memory_bytes>},
    {{"memory_bytes_per_s", "memory GB/s", kGiga, 0}, figure<&Chip::memory_bytes_per_s>},
    {{"link_bytes_per_s", "link GB/s", kGiga, 0}, figure<&Chip::link_bytes_per_s>},
    {{"tdp_watts", "TDP W"}, figure<&Chip::tdp_watts>},
    {{"confirmed", "confirmed"}, text<&Chip::confirmed>},
};

const Field<Chip> kDetails[] = {
    {{"id", "id"}, text<&Chip::id>},
    {{"name", "name"}, text<&Chip::name>},
    {{"vendor", "vendor"}, text<&Chip::vendor>},
    {{"arch", "architecture"}, text<&Chip::arch>},
    {{"release_date", "released"}, text<&Chip::release_date>},
    {{"fp64_dense_flops", "fp64 dense, TFLOPS", kTera, 1}, figure<&Chip::fp64_dense_flops>},
    {{"tf32_dense_flops", "tf32 dense, TFLOPS", kTera, 1}, figure<&Chip::tf32_dense_flops>},
    {{"bf16_dense_flops", "bf16 dense, TFLOPS", kTera, 1}, figure<&Chip::bf16_dense_flops>},
    {{"fp16_dense_flops", "fp16 dense, TFLOPS", kTera, 1}, figure<&Chip::fp16_dense_flops>},
    {{"fp8_dense_flops", "fp8 dense, TFLOPS", kTera, 1}, figure<&Chip::fp8_dense_flops>},
    {{"fp4_dense_flops", "fp4 dense, TFLOPS", kTera, 1}, figure<&Chip::fp4_dense_flops>},
    {{"int8_dense_ops", "int8 dense, TOPS", kTera, 1}, figure<&Chip::int8_dense_ops>},
    {{"sm_count", "SMs, CUs or cores"}, figure<&Chip::sm_count>},
    {{"memory_bytes", "memory, GB", kGiga, 1}, figure<&Chip::memory_bytes>},
    {{"memory_type", "memory type"}, text<&Chip::memory_type>},
    {{"memory_bytes_per_s", "memory, GB/s", kGiga, 1}, figure<&Chip::memory_bytes_per_s>},
    {{"l2_bytes", "L2 cache, MB", 1e6, 1}, figure<&Chip::l2_bytes>},
    {{"link_name", "scale-up link"}, text<&Chip::link_name>},
    {{"link_bytes_per_s", "link, one direction, GB/s", kGiga, 1}, figure<&Chip::link_bytes_per_s>},
    {{"scale_up_gpus", "GPUs in a scale-up domain"}, figure<&Chip::scale_up_gpus>},
    {{"host_bytes_per_s", "PCIe, one direction, GB/s", kGiga, 1}, figure<&Chip::host_bytes_per_s>},
    {{"tdp_watts", "TDP, W"}, figure<&Chip::tdp_watts>},
    {{"price_usd", "price, USD"}, figure<&Chip::price_usd>},
    {{"die_area_mm2", "die area, mm2", 1, 1}, figure<&Chip::die_area_mm2>},
    {{"tpp", "total processing performance", 1, 0}, figure<&Chip::tpp>},
    {{"published_tpp", "TPP as the vendor prints it", 1, 0}, figure<&Chip::published_tpp>},
    {{"published_eccn", "ECCN as the vendor prints it"}, text<&Chip::published_eccn>},
    {{"is_china_sku", "made for China"}, figure<&Chip::is_china_sku>},
    {{"confirmed", "confirmed"}, text<&Chip::confirmed>},
    {{"source", "source"}, text<&Chip::source>},
    {{"notes", "notes"}, text<&Chip::notes>},
};

struct Options {
  std::string chip, chip_file;
  report::Format format = report::Format::table;
};

std::string run(const Options& options) {
  if (!options.chip_file.empty())
    return report::render_record(
        table_of<Chip>(kDetails, {catalog::parse_chip(catalog::read_text_file(options.chip_file), options.chip_file)}),
        options.format);
  if (!options.chip.empty())
    return report::render_record(table_of<Chip>(kDetails, {chip_named(options.chip)}), options.format);
  return report::render(table_of(kListed, catalog::chips()), options.format);
}

}  // namespace

void add_chips(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = add_command(app, "chips", "The accelerators of the catalogue, with the source of each figure",
                                  "  traincost chips\n"
                                  "  traincost chips --chip h800-sxm5-80gb\n"
                                  "  traincost chips --format csv");
  auto* chip = command->add_option("--chip", options->chip, "one chip by id or alias, all its figures");
  command->add_option("--chip-file", options->chip_file, "check and show a chip of your own, a TOML file")
      ->excludes(chip);
  add_format(*command, options->format);
  command->callback([options] { print(run(*options)); });
}

}  // namespace traincost::app
