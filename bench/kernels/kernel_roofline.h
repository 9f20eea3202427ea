// What a device can do at most, measured in the same run as the kernels: fused multiply-adds in registers, and a copy of
// as many bytes as a kernel's working set has. Williams, Waterman, Patterson: Roofline, CACM 2009.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/hardware.h"
#include "kernels/device.h"
#include "kernels/op.h"

namespace xbench {

struct CopyBandwidth {
    double gbytes_per_second = 0;  // read plus written
    int64_t bytes = 0;             // source plus destination, all threads
    std::string level;             // "L1", "L2", "L3" or "memory": where such a working set stays
};

// The least time that this work takes here, and what decides it.
struct RooflineBound {
    double seconds = 0;
    bool by_arithmetic = false;  // the FMA peak; else the bandwidth
};

class Roofline {
public:
    // The device outlives it; the caches are those of its memory, smallest first.
    Roofline(Device& device, const std::vector<CacheLevel>& data_caches);

    double peak_gflops() const { return peak_gflops_; }  // 0: the device has no such yardstick
    double measure_peak() const;                         // once more, for the end of a run
    // For a working set of this size: a copy of the next power of two when that fits the last cache, else of memory().
    const CopyBandwidth& copy_for(int64_t working_set);
    const CopyBandwidth& memory();
    RooflineBound bound(const Work& work, const CopyBandwidth& copy) const;

private:
    const CopyBandwidth& measured(int64_t bytes);
    std::string level_of(int64_t bytes) const;
    Device& device_;
    std::vector<int64_t> caches_;  // L1, L2, L3 as the team has them
    double peak_gflops_ = 0;
    std::map<int64_t, CopyBandwidth> copies_;
};

}  // namespace xbench
