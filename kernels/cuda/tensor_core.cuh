// The instructions of sm_80 that tensor-core kernels are made of: asynchronous copies into shared memory, ldmatrix, and
// mma.sync with f32 sums. Operands lie in memory as f32 and are rounded in registers, to nearest: bf16 and f16 with ties to
// even, tf32 (10 bits of mantissa) with ties away from zero, as cvt.rna does.
#pragma once

#include <cstdint>

namespace xbench {

enum class Product { bf16, f16, tf32 };

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// 16 bytes (past the first-level cache) or 4; zeros where not `there`.
template <int bytes>
__device__ __forceinline__ void copy_async(uint32_t to, const void* from, bool there) {
    const int count = there ? bytes : 0;
    if constexpr (bytes == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(count) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(count) : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until all groups but the newest `left` have landed.
template <int left>
__device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory");
}

// Four matrices of 8 rows of 16 bytes; lane 8 m + r gives row r of matrix m. Lane 4 r + i gets element i (of 4 bytes) of
// row r.
__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], uint32_t from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
}
__device__ __forceinline__ void load_vector(uint32_t (&to)[4], uint32_t from) {
    asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
}

// With 2^-11 of its power of two added, a number is right after the tensor core has cut off the last 13 bits, and NaN stays
// NaN. cvt.rna would take three instructions on the GPUs that have it, and cut off what is cut off anyway. Denormals are cut
// off.
__device__ __forceinline__ uint32_t round_tf32(uint32_t bits) {
    return __float_as_uint(fmaf(__uint_as_float(bits & 0xff800000u), 0x1p-11f, __uint_as_float(bits)));
}
// Two halves of a register.
template <Product product>
__device__ __forceinline__ uint32_t round_pair(uint32_t low, uint32_t high) {
    uint32_t pair;
    if constexpr (product == Product::bf16)
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(__uint_as_float(high)), "f"(__uint_as_float(low)));
    else
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(__uint_as_float(high)), "f"(__uint_as_float(low)));
    return pair;
}

// One number, as a tensor core would take it.
template <Product product>
__device__ __forceinline__ float rounded(float value) {
    if constexpr (product == Product::tf32) return __uint_as_float(round_tf32(__float_as_uint(value)) & 0xffffe000u);
    const uint32_t pair = round_pair<product>(__float_as_uint(value), 0);
    if constexpr (product == Product::bf16) return __uint_as_float(pair << 16);
    float result;
    asm("{.reg .b16 low, high; mov.b32 {low, high}, %1; cvt.f32.f16 %0, low;}" : "=f"(result) : "r"(pair));
    return result;
}

#define XB_MMA(shape, type)                                                   \
    asm volatile("mma.sync.aligned." shape ".row.col.f32." type "." type      \
                 ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])     \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
// sum{16,8} += a{16,16} b{16,8}, or a{16,8} b{8,8} in tf32.
template <Product product>
__device__ __forceinline__ void multiply_add(float (&sum)[4], const uint32_t* a, const uint32_t* b) {
    if constexpr (product == Product::bf16) XB_MMA("m16n8k16", "bf16");
    if constexpr (product == Product::f16) XB_MMA("m16n8k16", "f16");
    if constexpr (product == Product::tf32) XB_MMA("m16n8k8", "tf32");
}
#undef XB_MMA

// 16 of K in registers as they came from memory, element kq * 2 + h of A: row h * 8, k = 4 kq + the lane's; element kq of B.
// The same order of k in both is all that a product asks, so pairs of bf16 are k and k + 4, whatever the manual calls them.
template <Product product>
struct RoundedA {
    uint32_t element[product == Product::tf32 ? 8 : 4];
    __device__ __forceinline__ explicit RoundedA(const uint32_t (&raw)[8]) {
        if constexpr (product == Product::tf32) {
#pragma unroll
            for (int i = 0; i < 8; ++i) element[i] = round_tf32(raw[i]);
        } else {
#pragma unroll
            for (int i = 0; i < 4; ++i) element[i] = round_pair<product>(raw[i / 2 * 4 + i % 2], raw[i / 2 * 4 + i % 2 + 2]);
        }
    }
};
template <Product product>
struct RoundedB {
    uint32_t element[product == Product::tf32 ? 4 : 2];
    __device__ __forceinline__ RoundedB() {}
    __device__ __forceinline__ explicit RoundedB(const uint32_t (&raw)[4]) {
        if constexpr (product == Product::tf32) {
#pragma unroll
            for (int i = 0; i < 4; ++i) element[i] = round_tf32(raw[i]);
        } else {
            element[0] = round_pair<product>(raw[0], raw[1]);
            element[1] = round_pair<product>(raw[2], raw[3]);
        }
    }
};

template <Product product>
__device__ __forceinline__ void multiply_add(float (&sum)[4], const RoundedA<product>& a, const RoundedB<product>& b) {
    multiply_add<product>(sum, a.element, b.element);
    if constexpr (product == Product::tf32) multiply_add<product>(sum, a.element + 4, b.element + 2);
}

}  // namespace xbench
