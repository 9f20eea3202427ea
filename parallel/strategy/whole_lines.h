// Floats that neighbours in one buffer take, so that each begins on a cache line and no two threads write to one.
#pragma once

#include <cstddef>

namespace xbench {

constexpr size_t in_whole_lines(size_t floats) { return (floats + 15) / 16 * 16; }

}  // namespace xbench
