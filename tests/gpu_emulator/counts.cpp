// Adds the counters of a kernel's instructions up, and keeps which sectors a launch touched.
#include "tests/gpu_emulator/counts.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unordered_map>

#include "tests/gpu_emulator/driver.h"
#include "tests/gpu_emulator/sectors.h"

namespace xbench::ptx {
namespace {

static_assert(counted_classes == classes);

// 64 sectors a word.
using Words = std::unordered_map<uint64_t, uint64_t>;
std::array<Words, 2>& touched() {
    static std::array<Words, 2> words;
    return words;
}

uint64_t number_of_sectors(const Words& words) {
    uint64_t sum = 0;
    for (const auto& [place, bits] : words) sum += static_cast<uint64_t>(std::popcount(bits));
    return sum;
}

void add_matrix_flops(KernelCounts& all, const Kernel& kernel, size_t at) {
    const uint64_t flops = kernel.counters[at].warps * kernel.code[at].flops;
    const std::string& text = kernel.text[at];
    if (text.find(".bf16") != std::string::npos)
        all.bf16_matrix_flops += flops;
    else if (text.find(".tf32") != std::string::npos)
        all.tf32_matrix_flops += flops;
    else
        all.f16_matrix_flops += flops;
}

void add_instruction(KernelCounts& all, const Kernel& kernel, size_t at) {
    const Counter& counter = kernel.counters[at];
    const Instruction& i = kernel.code[at];
    all.warp_instructions += counter.warps;
    all.lane_instructions += counter.lanes;
    all.warps_of_class[static_cast<size_t>(i.counted_as)] += counter.warps;
    all.global_requests += counter.global_requests;
    all.global_sectors += counter.sectors;
    all.ideal_sectors += counter.ideal_sectors;
    all.shared_requests += counter.requests - counter.global_requests;
    all.shared_wavefronts += counter.wavefronts;
    all.ideal_shared_wavefronts += counter.ideal_wavefronts;
    all.divergent_branches += counter.divergent;
    switch (i.counted_as) {
        case Class::f32:
        case Class::special: all.f32_flops += counter.lanes * i.flops; break;
        case Class::f64: all.f64_flops += counter.lanes * i.flops; break;
        case Class::half: all.half_flops += counter.lanes * i.flops; break;
        case Class::matrix: add_matrix_flops(all, kernel, at); break;
        case Class::barrier: all.barriers += counter.warps; break;
        case Class::local: all.local_accesses += counter.warps; break;
        default: break;
    }
}

void write_json(std::FILE* file, const Kernel& kernel) {
    const KernelCounts c = counts_of(kernel);
    const auto number = [&](const char* name, uint64_t value) {
        std::fprintf(file, ", \"%s\": %llu", name, static_cast<unsigned long long>(value));
    };
    std::fprintf(file, "{\"kernel\": \"%s\"", kernel.name.c_str());
    number("launches", c.launches), number("blocks", c.blocks), number("warp_instructions", c.warp_instructions);
    number("lane_instructions", c.lane_instructions);
    for (int k = 0; k < classes; ++k) number(name_of(static_cast<Class>(k)), c.warps_of_class[k]);
    number("f32_flops", c.f32_flops), number("f64_flops", c.f64_flops), number("half_flops", c.half_flops);
    number("bf16_matrix_flops", c.bf16_matrix_flops), number("f16_matrix_flops", c.f16_matrix_flops);
    number("tf32_matrix_flops", c.tf32_matrix_flops), number("global_requests", c.global_requests);
    number("global_sectors", c.global_sectors), number("ideal_sectors", c.ideal_sectors);
    number("compulsory_read_sectors", c.compulsory_read_sectors);
    number("compulsory_write_sectors", c.compulsory_write_sectors), number("shared_requests", c.shared_requests);
    number("shared_wavefronts", c.shared_wavefronts), number("ideal_shared_wavefronts", c.ideal_shared_wavefronts);
    number("barriers", c.barriers), number("divergent_branches", c.divergent_branches);
    number("local_accesses", c.local_accesses);
    std::fprintf(file,
                 ", \"registers\": %d, \"stack_bytes\": %d, \"static_shared_bytes\": %d, \"block_threads\": %d, "
                 "\"dynamic_shared_bytes\": %d, \"blocks_per_multiprocessor\": %d, \"warps_per_multiprocessor\": %d}\n",
                 c.registers, c.stack_bytes, c.static_shared_bytes, c.block_threads, c.dynamic_shared_bytes,
                 c.blocks_per_multiprocessor, c.warps_per_multiprocessor);
}

}  // namespace

void begin_sectors() {
    for (Words& words : touched()) words.clear();
}

void touch_sector(uint64_t sector, bool write) { touched()[write][sector / 64] |= uint64_t{1} << sector % 64; }

void end_sectors(Kernel& kernel) {
    kernel.read_sectors += number_of_sectors(touched()[0]);
    kernel.written_sectors += number_of_sectors(touched()[1]);
}

KernelCounts counts_of(const Kernel& kernel) {
    KernelCounts all{};
    all.launches = kernel.counted_launches;
    all.blocks = kernel.counted_blocks;
    for (size_t at = 0; at < kernel.code.size(); ++at) add_instruction(all, kernel, at);
    all.compulsory_read_sectors = kernel.read_sectors;
    all.compulsory_write_sectors = kernel.written_sectors;
    all.registers = registers_of(kernel);
    all.stack_bytes = std::max(kernel.compiled.stack_bytes, static_cast<int>(kernel.local_bytes - local_begin));
    all.static_shared_bytes = static_cast<int32_t>(kernel.shared_bytes - shared_begin);
    all.block_threads = static_cast<int32_t>(kernel.last_threads);
    all.dynamic_shared_bytes = static_cast<int32_t>(kernel.last_dynamic_shared);
    if (kernel.last_threads > 0) {
        all.blocks_per_multiprocessor = blocks_at_a_time(kernel, all.block_threads, kernel.last_dynamic_shared);
        all.warps_per_multiprocessor = all.blocks_per_multiprocessor * ((all.block_threads + warp_lanes - 1) / warp_lanes);
    }
    return all;
}

void reset_counts(Kernel& kernel) {
    for (Counter& counter : kernel.counters) counter = {};
    kernel.counted_launches = kernel.counted_blocks = kernel.read_sectors = kernel.written_sectors = 0;
}

// One JSON object a line.
void write_counts(const std::vector<const Kernel*>& kernels) {
    const char* const name = std::getenv("XBENCH_GPU_COUNTS");
    std::FILE* const file = name ? std::fopen(name, "a") : nullptr;
    if (!file) return;
    for (const Kernel* kernel : kernels)
        if (kernel->counted_launches > 0) write_json(file, *kernel);
    std::fclose(file);
}

}  // namespace xbench::ptx
