// Lanes in which a predicate made of two is not defined: where one side decides alone, the other may be anything. Library
// kernels compare what they read past their data, and drop it by the other side.
#pragma once

#include <cstdint>

namespace xbench::ptx {

inline uint32_t undefined_and(uint32_t a, uint32_t taint_a, uint32_t b, uint32_t taint_b) {
    return (taint_a & taint_b) | (taint_a & b) | (taint_b & a);
}
inline uint32_t undefined_or(uint32_t a, uint32_t taint_a, uint32_t b, uint32_t taint_b) {
    return undefined_and(~a, taint_a, ~b, taint_b);
}

}  // namespace xbench::ptx
