// What ptxas wrote about the kernels of a cubin, an ELF file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "tests/gpu_emulator/image.h"

namespace xbench::ptx {

std::map<std::string, Compiled> kernels_of_cubin(const uint8_t* data, size_t bytes);

}  // namespace xbench::ptx
