// Operands of products of matrices that other people's kernels are given: the numbers, and how they are stored.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "tests/gpu_emulator/half.h"

// Small whole numbers: every product and sum is exact in each type.
inline float left(int row, int k) { return static_cast<float>((row * 3 + k * 5) % 7 - 3); }
inline float right(int k, int column) { return static_cast<float>((k * 2 + column) % 9 - 4); }

template <class T>
std::vector<T> stored(int rows, int columns, float (*f)(int, int), T (*as)(float)) {
    std::vector<T> values;
    for (int i = 0; i < rows * columns; ++i) values.push_back(as(f(i / columns, i % columns)));
    return values;
}
inline uint16_t as_bf16(float value) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16); }
inline uint16_t as_f16(float value) { return xbench::ptx::Half(static_cast<double>(value)).bits; }
inline float as_f32(float value) { return value; }
