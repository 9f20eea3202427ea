// The bound of each resource, and the longest.
#include "bench/base/gpu_prediction.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "bench/base/text_table.h"
#include "core/error.h"

namespace xbench {
namespace {

constexpr double lanes = 32, sector_bytes = 32;

// From one instruction to the next that needs it are 4 cycles on both (Jia et al., arXiv:1804.06826, since Volta; Luo et
// al., arXiv:2402.13499). The second-level cache of an H200 is taken to deliver as much a cycle as an A100's: NVIDIA gives
// no figure for it.
const std::array<std::pair<const char*, GpuChip>, 2> chips{{
    {"a100",
     {.name = "A100 SXM4 80GB",
      .source = "NVIDIA A100 Tensor Core GPU Architecture, 2020, tables 1 to 5, and the A100 80GB data sheet, 2021",
      .compute_capability = 80,
      .multiprocessors = 108,
      .clock_hz = 1.41e9,
      .half_matrix_flops = 312e12,
      .tf32_matrix_flops = 156e12,
      .memory_bytes = 2.039e12,
      .l2_bytes_per_cycle = 5120,
      .f32_per_cycle = 64}},
    {"h200",
     {.name = "H200 SXM",
      .source =
          "NVIDIA H100 Tensor Core GPU Architecture, 2022, tables 2 to 6 (the same chip), and the H200 data sheet, 2024",
      .compute_capability = 90,
      .multiprocessors = 132,
      .clock_hz = 1.83e9,
      .half_matrix_flops = 989e12,
      .tf32_matrix_flops = 494e12,
      .memory_bytes = 4.8e12,
      .l2_bytes_per_cycle = 5120,
      .f32_per_cycle = 128}},
}};

double number(uint64_t value) { return static_cast<double>(value); }

// How much longer the multiprocessor with the most blocks has than it would have if they could be cut.
double imbalance(const GpuCounts& counts, const GpuChip& chip) {
    const double blocks = number(counts.blocks) / std::max(1.0, number(counts.launches));
    return blocks > 0 ? std::ceil(blocks / chip.multiprocessors) * chip.multiprocessors / blocks : 1;
}

// Every warp starts an instruction when the one before it is done; as many blocks are there at once as fit.
double latency(const GpuCounts& counts, const GpuChip& chip) {
    const double warps_a_block = std::ceil(std::max(1, counts.block_threads) / lanes);
    const double a_warp = number(counts.warp_instructions) / std::max(1.0, number(counts.blocks) * warps_a_block);
    const double at_once = chip.multiprocessors * std::max(1, counts.blocks_per_multiprocessor);
    const double waves = std::ceil(number(counts.blocks) / std::max(1.0, number(counts.launches)) / at_once);
    return number(counts.launches) * waves * a_warp * chip.dependent_cycles / chip.clock_hz;
}

}  // namespace

const GpuChip& find_gpu_chip(const std::string& name) {
    std::string known;
    for (const auto& [short_name, chip] : chips) {
        if (name == short_name) return chip;
        known += (known.empty() ? "" : ", ") + std::string(short_name);
    }
    throw UsageError("no rates of a GPU '" + name + "' are known", "--predict", "known: " + known);
}

GpuPrediction& GpuPrediction::operator+=(const GpuPrediction& other) {
    if (other.longest_ > longest_) longest_ = other.longest_, bound = other.bound;
    seconds += other.seconds;
    launches += other.launches;
    return *this;
}

GpuPrediction predict(const GpuCounts& counts, const GpuChip& chip) {
    const double uneven = imbalance(counts, chip), cycles = chip.multiprocessors * chip.clock_hz / uneven;
    const double half = number(counts.bf16_matrix_flops + counts.f16_matrix_flops);
    const double matrix = half / chip.half_matrix_flops + number(counts.tf32_matrix_flops) / chip.tf32_matrix_flops;
    const double compulsory = number(counts.compulsory_read_sectors + counts.compulsory_write_sectors);
    const std::pair<double, const char*> resources[] = {
        {matrix * uneven, "matrix"},
        {number(counts.warp_instructions) / (chip.issues_per_cycle * cycles), "issue"},
        {number(counts.f32_flops) / (2 * chip.f32_per_cycle * cycles), "f32"},
        {number(counts.shared_wavefronts) / (chip.shared_wavefronts_per_cycle * cycles), "shared"},
        {number(counts.global_sectors) * sector_bytes / (chip.l2_bytes_per_cycle * chip.clock_hz), "L2"},
        {compulsory * sector_bytes / chip.memory_bytes, "memory"},
        {latency(counts, chip), "latency"},
    };
    const auto longest = std::max_element(std::begin(resources), std::end(resources),
                                          [](const auto& a, const auto& b) { return a.first < b.first; });
    GpuPrediction prediction;
    prediction.seconds = prediction.longest_ = longest->first;
    prediction.bound = longest->second;
    prediction.launches = number(counts.launches);
    return prediction;
}

GpuPrediction predict(const CountedRow& row, const GpuChip& chip) {
    GpuPrediction all;
    for (const CountedKernel& kernel : row.kernels) all += predict(kernel.counts, chip);
    return all;
}

std::string predicted_text(std::span<const PredictedRow> rows, const GpuChip& chip, bool total) {
    std::vector<std::vector<std::string>> cells;
    GpuPrediction all;
    const auto add = [&](const std::string& name, const std::string& row, const GpuPrediction& p) {
        cells.push_back({name, row, fmt::format("{:.2f}", p.seconds * 1e6), p.bound, fmt::format("{:.0f}", p.launches)});
    };
    for (const PredictedRow& row : rows) {
        add(row.name, row.row, row.prediction);
        all += row.prediction;
    }
    if (total) add("all", "", all);
    return markdown_table(
               {{"what", false}, {"row", false}, {"us, predicted, not measured"}, {"bound by", false}, {"launches"}},
               cells) +
           fmt::format(
               "\nEstimated for {} from the emulated GPU's counts and the chip's published rates ({}), each kernel by its "
               "busiest resource. The time between launches is not in it.\n",
               chip.name, chip.source);
}

}  // namespace xbench
