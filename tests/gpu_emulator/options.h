// What the environment asks of the emulator.
#pragma once

namespace xbench::ptx {

struct Options {
    bool races = false;   // XBENCH_GPU_MODE=race: shared and global memory
    bool counts = false;  // XBENCH_GPU_MODE=counts: sectors and wavefronts
    bool quiet = false;   // XBENCH_GPU_QUIET=1: reports are counted only
};

Options& options();

}  // namespace xbench::ptx
