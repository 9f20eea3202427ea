// The PTX in what cuModuleLoadData gets: a text, or a fat binary as nvcc makes them.
#pragma once

#include <string>

namespace xbench::ptx {

// Empty: there is none, or it is compressed (nvcc --compress-mode none keeps it readable).
std::string ptx_of(const void* image);

}  // namespace xbench::ptx
