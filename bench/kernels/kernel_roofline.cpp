// Measures the two roofs.
#include "bench/kernels/kernel_roofline.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>

#include "bench/base/step.h"
#include "core/memory.h"
#include "kernels/peak/peak.h"
#include "kernels/team.h"

namespace xbench {
namespace {

constexpr int64_t smallest_copy = int64_t{16} << 10, memory_copy = int64_t{256} << 20;
constexpr double seconds_of_a_try = 1e-3;
constexpr int tries = 7;

using Clock = std::chrono::steady_clock;

// Every thread copies its part from one half to the other, `repeats` times; by the C library or by vectors of the ISA.
class Copier {
public:
    Copier(int64_t bytes, Isa isa, int threads)
        : floats_(bytes / 2 / static_cast<int64_t>(sizeof(float))),
          isa_(isa),
          threads_(threads),
          from_(static_cast<size_t>(bytes / 2)),
          to_(static_cast<size_t>(bytes / 2)) {}

    double seconds(bool library, int64_t repeats) const {
        double result = 0;
        run_team(threads_, [&](const Team& team) {
            const int64_t begin = part(team.rank, team.size), count = part(team.rank + 1, team.size) - begin;
            const float* from = from_.as<float>() + begin;
            float* to = to_.as<float>() + begin;
            team.barrier();
            const auto start = Clock::now();
            for (int64_t i = 0; i < repeats; ++i) {
                if (library)
                    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
                else
                    run_copy(isa_, from, to, count);
                asm volatile("" ::"r"(from), "r"(to) : "memory");  // each copy happens
            }
            team.barrier();
            if (team.rank == 0) result = std::chrono::duration<double>(Clock::now() - start).count();
        });
        return result / static_cast<double>(repeats);
    }

private:
    int64_t part(int rank, int size) const { return floats_ / 64 * rank / size * 64; }
    const int64_t floats_;
    const Isa isa_;
    const int threads_;
    const AlignedBuffer from_, to_;
};

}  // namespace

Roofline::Roofline(Isa isa, int threads, const std::vector<CacheLevel>& data_caches) : isa_(isa), threads_(threads) {
    for (const CacheLevel& cache : data_caches)
        caches_.push_back(cache.bytes * std::min(cache.count, threads));  // a cache for each core, or one for several
    peak_gflops_ = measure_peak();
}

double Roofline::measure_peak() const {
    double best = 0;
    for (int i = 0; i < 5; ++i) best = std::max(best, measure_fma_peak(isa_, threads_));
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
    const Copier copier(bytes, isa_, threads_);
    double best = 0;
    for (const bool library : {true, false}) {
        const double once = copier.seconds(library, 1);
        const auto repeats = static_cast<int64_t>(seconds_of_a_try / std::max(once, 1e-9)) + 1;
        for (int i = 0; i < tries; ++i)
            best = std::max(best, static_cast<double>(bytes) / copier.seconds(library, repeats) * 1e-9);
    }
    return copies_[bytes] = {best, bytes, bytes == memory_copy ? "memory" : level_of(bytes)};
}

const CopyBandwidth& Roofline::memory() { return measured(memory_copy); }

const CopyBandwidth& Roofline::copy_for(int64_t working_set) {
    const int64_t last_cache = caches_.empty() ? 0 : caches_.back();
    const auto bytes =
        static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max(working_set, smallest_copy * threads_))));
    return bytes <= last_cache && bytes < memory_copy ? measured(bytes) : memory();
}

RooflineBound Roofline::bound(const Work& work, const CopyBandwidth& copy) const {
    const double arithmetic = work.flops / (peak_gflops_ * 1e9), traffic = work.bytes / (copy.gbytes_per_second * 1e9);
    return {std::max(arithmetic, traffic), arithmetic > traffic};
}

}  // namespace xbench
