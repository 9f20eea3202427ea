// Counts of kernels: see counts.h for what they mean. Sectors are 32 bytes of global memory.
#pragma once

#include <vector>

#include "tests/gpu_emulator/counts.h"
#include "tests/gpu_emulator/instruction.h"

namespace xbench::ptx {

void begin_sectors();  // of a launch
void touch_sector(uint64_t sector, bool write);
void end_sectors(Kernel& kernel);

KernelCounts counts_of(const Kernel& kernel);
void reset_counts(Kernel& kernel);
void write_counts(const std::vector<const Kernel*>& kernels);

}  // namespace xbench::ptx
