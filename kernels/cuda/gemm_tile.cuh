// One block's tile of a matrix product on the tensor cores: C{m,n} = sum over k of A{m,k} B{k,n}, operands f32 in memory,
// sums in f32 in registers. Shared memory is a ring of `stages` stages of 32 of K; warps take 32 columns each, and 32 or 64
// rows.
//
// Two forms of an operand in shared memory, both without bank conflicts, both filled by copies of 16 bytes:
//   k inside     {rows, 32}: rows of 8 chunks of 4 floats; chunk q of row r lies at q ^ order(r). Read by ldmatrix.
//   rows inside  {32, rows}: chunk q of row k lies at q ^ (k % 4). Read in 128 bits.
// Which row of a block of 32 lane group g = lane / 4 of a matrix instruction gets is free, if a sum's k does not change: it
// is first_row(g) + 0 .. 3 over four instructions, so that a lane ends with 4 neighbours in a row, and writes them at once.
#pragma once

#include "kernels/cuda/gemm_shape.h"
#include "kernels/cuda/tensor_core.cuh"

namespace xbench {

__device__ __forceinline__ int first_row(int group) { return 16 * (group & 1) + 4 * (group >> 1); }
__device__ __forceinline__ int order(int row) { return row >> 2 & 7; }
// Bytes from the operand's begin in a stage.
__device__ __forceinline__ uint32_t place_k_inside(int row, int chunk) { return row * 128 + ((chunk ^ order(row)) << 4); }
template <int rows>
__device__ __forceinline__ uint32_t place_rows_inside(int k, int chunk) {
    return k * (rows * 4) + ((chunk ^ (k & 3)) << 4);
}

// Of an operand with its rows inside, whose first row of this lane is at `at`: take(block of 32 rows, kq, the values of 4
// neighbouring rows at this lane's k of 16 k16 + 4 kq + 0 .. 3).
template <int rows, int blocks, class Take>
__device__ __forceinline__ void read_rows_inside(uint32_t at, int k16, Take&& take) {
#pragma unroll
    for (int block = 0; block < blocks; ++block)
#pragma unroll
        for (int kq = 0; kq < 4; ++kq) {
            uint32_t four[4];
            load_vector(four, at + block * 128 + (16 * k16 + 4 * kq) * (rows * 4));
            take(block, kq, four);
        }
}

// Where a lane reads A and B of its warp: addresses are computed once, the loop only adds the stage.
template <class T, bool k_inside>
class ReadA;
template <class T>
class ReadA<T, true> {
public:
    __device__ __forceinline__ explicit ReadA(int warp, int lane) {
        const int group = lane & 7, matrix = lane >> 3;
        const int row = warp % T::warps_of_rows * T::warp_rows + first_row(group) + (matrix & 1);
#pragma unroll
        for (int half = 0; half < 4; ++half) at_[half] = place_k_inside(row, 2 * half + (matrix >> 1));
    }
    __device__ __forceinline__ void operator()(uint32_t stage, int k16, uint32_t (&raw)[T::matrices][8]) const {
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int i = 0; i < T::matrices; ++i) {
                uint32_t four[4];
                load_matrices(four, stage + at_[2 * k16 + half] + i / 2 * 4096 + i % 2 * 256);
#pragma unroll
                for (int e = 0; e < 4; ++e) raw[i][4 * half + e] = four[e];
            }
    }

private:
    uint32_t at_[4];
};
template <class T>
class ReadA<T, false> {
public:
    __device__ __forceinline__ explicit ReadA(int warp, int lane) {
        const int chunk = first_row(lane >> 2) / 4 + warp % T::warps_of_rows * T::warp_rows / 4;
        at_ = place_rows_inside<T::rows>(lane & 3, chunk);
    }
    __device__ __forceinline__ void operator()(uint32_t stage, int k16, uint32_t (&raw)[T::matrices][8]) const {
        read_rows_inside<T::rows, T::matrices / 2>(stage + at_, k16, [&](int block, int kq, const uint32_t(&four)[4]) {
#pragma unroll
            for (int e = 0; e < 4; ++e) raw[2 * block + e / 2][2 * kq + e % 2] = four[e];
        });
    }

private:
    uint32_t at_;
};

template <class T, bool k_inside>
class ReadB;
template <class T>
class ReadB<T, true> {
public:
    __device__ __forceinline__ explicit ReadB(int warp, int lane) {
        const int row = warp / T::warps_of_rows * T::warp_columns + first_row(lane & 7);
#pragma unroll
        for (int k16 = 0; k16 < 2; ++k16) at_[k16] = T::a_bytes + place_k_inside(row, 4 * k16 + (lane >> 3));
    }
    __device__ __forceinline__ void operator()(uint32_t stage, int k16, uint32_t (&raw)[T::eights][4]) const {
#pragma unroll
        for (int j = 0; j < T::eights; ++j) load_matrices(raw[j], stage + at_[k16] + j / 4 * 4096 + j % 4 * 128);
    }

private:
    uint32_t at_[2];
};
template <class T>
class ReadB<T, false> {
public:
    __device__ __forceinline__ explicit ReadB(int warp, int lane) {
        const int chunk = first_row(lane >> 2) / 4 + warp / T::warps_of_rows * T::warp_columns / 4;
        at_ = T::a_bytes + place_rows_inside<T::columns>(lane & 3, chunk);
    }
    __device__ __forceinline__ void operator()(uint32_t stage, int k16, uint32_t (&raw)[T::eights][4]) const {
        read_rows_inside<T::columns, T::eights / 4>(stage + at_, k16, [&](int block, int kq, const uint32_t(&four)[4]) {
#pragma unroll
            for (int j = 0; j < 4; ++j) raw[4 * block + j][kq] = four[j];
        });
    }

private:
    uint32_t at_;
};

template <class T>
struct Sums {
    float at[T::matrices][T::eights][4] = {};
};

// A stage's products.
template <class T, Product product, class A, class B>
__device__ __forceinline__ void multiply_stage(Sums<T>& sums, const A& read_a, const B& read_b, uint32_t stage) {
#pragma unroll
    for (int k16 = 0; k16 < 2; ++k16) {
        uint32_t raw_a[T::matrices][8], raw_b[T::eights][4];
        read_b(stage, k16, raw_b);
        read_a(stage, k16, raw_a);
        RoundedB<product> b[T::eights];
#pragma unroll
        for (int j = 0; j < T::eights; ++j) b[j] = RoundedB<product>(raw_b[j]);
#pragma unroll
        for (int i = 0; i < T::matrices; ++i) {
            const RoundedA<product> a(raw_a[i]);
#pragma unroll
            for (int j = 0; j < T::eights; ++j) multiply_add<product>(sums.at[i][j], a, b[j]);
        }
    }
}

// All of K. `load(stage address)` starts the copies of the next 32 of K, zeros past its end. One barrier a stage: the stage
// that is filled after it was read before it.
template <class T, Product product, bool a_k_inside, bool b_k_inside, class Load>
__device__ __forceinline__ void multiply_all(Sums<T>& sums, int steps, uint32_t ring, Load&& load) {
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    const ReadA<T, a_k_inside> read_a(warp, lane);
    const ReadB<T, b_k_inside> read_b(warp, lane);
#pragma unroll
    for (int stage = 0; stage < stages - 1; ++stage) {
        if (stage < steps) load(ring + stage * T::stage_bytes);
        commit_copies();
    }
    uint32_t reading = ring, filling = ring + (stages - 1) * T::stage_bytes;
#pragma unroll 1
    for (int step = 0; step < steps; ++step) {
        wait_for_copies<stages - 2>();
        __syncthreads();
        if (step + stages - 1 < steps) load(filling);
        commit_copies();
        multiply_stage<T, product>(sums, read_a, read_b, reading);
        filling = reading;
        reading = reading + T::stage_bytes == ring + T::ring_bytes ? ring : reading + T::stage_bytes;
    }
}

// Calls store(row, column, float4) for what this lane has of the tile: row and column in it, four neighbours of a row.
template <class T, class Store>
__device__ __forceinline__ void for_each_four(const Sums<T>& sums, Store&& store) {
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    const int row = warp % T::warps_of_rows * T::warp_rows + first_row(lane >> 2);
    const int column = warp / T::warps_of_rows * T::warp_columns + 4 * (lane & 3);
#pragma unroll
    for (int i = 0; i < T::matrices; ++i)
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int right = 0; right < T::eights / 2; ++right) {
                const int e = 2 * half + right % 2, j = right / 2 * 4;
                store(row + i / 2 * 32 + i % 2 * 2 + half, column + 16 * right,
                      make_float4(sums.at[i][j][e], sums.at[i][j + 1][e], sums.at[i][j + 2][e], sums.at[i][j + 3][e]));
            }
}

}  // namespace xbench
