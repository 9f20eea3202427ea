// What the environment asks of the emulator.
#pragma once

#include <cstdint>

namespace xbench::ptx {

struct Options {
    bool races = false;   // XBENCH_GPU_MODE=race: shared and global memory
    bool counts = false;  // XBENCH_GPU_MODE=counts: sectors and wavefronts
    bool quiet = false;   // XBENCH_GPU_QUIET=1: reports are counted only
    int capability = 80;  // XBENCH_EMULATED_SM
    int driver = 13000;   // XBENCH_EMULATED_DRIVER: what cuDriverGetVersion says; newer PTX is refused
    int threads = 1;      // XBENCH_GPU_THREADS: that run the blocks of a launch
    // XBENCH_EMULATED_GPU_LOST=DEVICE:LAUNCHES[:CODE]: the device is lost when it has started so many kernels.
    int lost_device = -1, lost_code = 214;  // CUDA_ERROR_ECC_UNCORRECTABLE
    uint64_t lost_after = 0;
    // XBENCH_EMULATED_GPU_BUSY=DEVICE:MODE: nobody else gets the device; the compute mode is 2, prohibited, or 3, exclusive.
    int busy_device = -1, busy_mode = 3;
};

Options& options();

}  // namespace xbench::ptx
