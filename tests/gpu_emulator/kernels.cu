// Kernels that the emulated GPU is tried on: right ones, and pairs of a seeded fault and its clean twin.
#include <stdint.h>

extern "C" __global__ void saxpy(int n, float a, const float* x, float* y) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}

// The sum of each block, by shuffles and shared memory.
extern "C" __global__ void block_sums(int n, const float* x, float* sums) {
    __shared__ float part[32];
    const int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float sum = i < n ? x[i] : 0.0f;
    for (int by = 16; by > 0; by /= 2) sum += __shfl_down_sync(0xffffffffu, sum, by);
    if (lane == 0) part[warp] = sum;
    __syncthreads();
    if (warp != 0) return;
    sum = lane < blockDim.x / 32 ? part[lane] : 0.0f;
    for (int by = 16; by > 0; by /= 2) sum += __shfl_down_sync(0xffffffffu, sum, by);
    if (lane == 0) sums[blockIdx.x] = sum;
}

// Steps until 1 in Collatz' sequence: lanes part for long.
extern "C" __global__ void collatz(int n, int* steps) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int count = 0;
    for (unsigned x = i + 1; x != 1; x = x % 2 ? 3 * x + 1 : x / 2) ++count;
    steps[i] = count;
}

// c{16,8} = a{16,16} b{16,8} in bf16 on the tensor cores; b is given column by column.
extern "C" __global__ void mma_tile(const uint32_t* a, const uint32_t* b, float* c) {
    const int lane = threadIdx.x, row = lane / 4, pair = lane % 4;
    const uint32_t a0 = a[row * 8 + pair], a1 = a[(row + 8) * 8 + pair], a2 = a[row * 8 + pair + 4], a3 = a[(row + 8) * 8 + pair + 4];
    const uint32_t b0 = b[row * 8 + pair], b1 = b[row * 8 + pair + 4];
    float d0 = 0, d1 = 0, d2 = 0, d3 = 0;
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d0), "+f"(d1), "+f"(d2), "+f"(d3)
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    c[row * 8 + pair * 2] = d0;
    c[row * 8 + pair * 2 + 1] = d1;
    c[(row + 8) * 8 + pair * 2] = d2;
    c[(row + 8) * 8 + pair * 2 + 1] = d3;
}

// ---- seeded faults; the twin with the check or the barrier is clean

extern "C" __global__ void unbounded(int n, float* x) {
    x[blockIdx.x * blockDim.x + threadIdx.x] = 1;
    (void)n;
}
extern "C" __global__ void bounded(int n, float* x) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = 1;
}
extern "C" __global__ void partly_written(float* x) {
    __shared__ float s[64];
    if (threadIdx.x < 40) s[threadIdx.x] = 1;
    __syncthreads();
    x[threadIdx.x] = s[threadIdx.x];
}
extern "C" __global__ void fully_written(float* x) {
    __shared__ float s[64];
    s[threadIdx.x] = 1;
    __syncthreads();
    x[threadIdx.x] = s[threadIdx.x];
}
extern "C" __global__ void without_barrier(float* x) {
    __shared__ float s[128];
    s[threadIdx.x] = threadIdx.x;
    x[threadIdx.x] = s[threadIdx.x ^ 64];
}
extern "C" __global__ void with_barrier(float* x) {
    __shared__ float s[128];
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    x[threadIdx.x] = s[threadIdx.x ^ 64];
}
extern "C" __global__ void divergent_barrier(float* x) {
    if (threadIdx.x % 2) {
        __syncthreads();
        x[threadIdx.x] = 1;
    }
}
extern "C" __global__ void absent_lanes(int* x) {
    int other = 0;
    if (threadIdx.x < 16) other = __shfl_xor_sync(0xffffffffu, 1, 1);
    else x[0] = 1;
    x[threadIdx.x] = other;
}
extern "C" __global__ void present_lanes(int* x) { x[threadIdx.x] = __shfl_xor_sync(0xffffffffu, static_cast<int>(threadIdx.x), 1); }

__device__ void copy_async(void* to, const void* from) {
    const uint32_t shared = static_cast<uint32_t>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n cp.async.commit_group;" ::"r"(shared), "l"(from) : "memory");
}
extern "C" __global__ void unawaited(const float4* x, float4* y) {
    __shared__ float4 s[64];
    copy_async(&s[threadIdx.x], &x[threadIdx.x]);
    y[threadIdx.x] = s[threadIdx.x];
}
extern "C" __global__ void awaited(const float4* x, float4* y) {
    __shared__ float4 s[64];
    copy_async(&s[threadIdx.x], &x[threadIdx.x]);
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    y[threadIdx.x] = s[threadIdx.x];
}
extern "C" __global__ void misaligned(float* x) { *reinterpret_cast<float2*>(x + threadIdx.x) = make_float2(1, 2); }
extern "C" __global__ void aligned(float* x) { *reinterpret_cast<float2*>(x + 2 * threadIdx.x) = make_float2(1, 2); }
