// Measures the two roofs.
#include "bench/kernels/kernel_roofline.h"

#include <algorithm>
#include <bit>

#include "bench/base/step.h"
#include "core/memory.h"

namespace xbench {
namespace {

constexpr int64_t smallest_copy = int64_t{16} << 10, memory_copy = int64_t{256} << 20;
constexpr double seconds_of_a_try = 1e-3;
constexpr int tries = 7;

// Seconds of a copy from one half of `memory` to the other, of so many in a row.
double copy_seconds(Device& device, const AlignedBuffer& memory, bool by_system, int64_t repeats) {
    const auto count = static_cast<int64_t>(memory.bytes() / 2 / sizeof(float));
    const DeviceEvent start = device.record();
    device.copy_floats(memory.as<float>(), memory.as<float>() + count, count, repeats, by_system);
    const auto ns = static_cast<double>(device.elapsed_ns(start, device.record()));
    return std::max(ns, 1.0) * 1e-9 / static_cast<double>(repeats);
}

}  // namespace

Roofline::Roofline(Device& device, const std::vector<CacheLevel>& data_caches) : device_(device) {
    for (const CacheLevel& cache : data_caches)
        caches_.push_back(cache.bytes *
                          std::min(cache.count, device.threads()));  // a cache for each core, or one for several
    peak_gflops_ = measure_peak();
}

double Roofline::measure_peak() const {
    double best = 0;
    for (int i = 0; i < 5; ++i) best = std::max(best, measure_fma_peak(device_));
    return best;
}

std::string Roofline::level_of(int64_t bytes) const {
    for (size_t i = 0; i < caches_.size(); ++i)
        if (bytes <= caches_[i]) return "L" + std::to_string(i + 1);
    return "memory";
}

const CopyBandwidth& Roofline::measured(int64_t bytes) {
    const auto known = copies_.find(bytes);
    if (known != copies_.end()) return known->second;
    const AlignedBuffer memory = device_.allocate(static_cast<size_t>(bytes));
    double best = 0;
    for (const bool by_system : {true, false}) {
        const double once = copy_seconds(device_, memory, by_system, 1);
        const auto repeats = static_cast<int64_t>(seconds_of_a_try / std::max(once, 1e-9)) + 1;
        for (int i = 0; i < tries; ++i)
            best = std::max(best, static_cast<double>(bytes) / copy_seconds(device_, memory, by_system, repeats) * 1e-9);
    }
    return copies_[bytes] = {best, bytes, bytes == memory_copy ? "memory" : level_of(bytes)};
}

const CopyBandwidth& Roofline::memory() { return measured(memory_copy); }

const CopyBandwidth& Roofline::copy_for(int64_t working_set) {
    const int64_t last_cache = caches_.empty() ? 0 : caches_.back();
    const auto bytes =
        static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max(working_set, smallest_copy * device_.threads()))));
    return bytes <= last_cache && bytes < memory_copy ? measured(bytes) : memory();
}

RooflineBound Roofline::bound(const Work& work, const CopyBandwidth& copy) const {
    const double arithmetic = peak_gflops_ > 0 ? work.flops / (peak_gflops_ * 1e9) : 0,
                 traffic = work.bytes / (copy.gbytes_per_second * 1e9);
    return {std::max(arithmetic, traffic), arithmetic > traffic};
}

}  // namespace xbench
