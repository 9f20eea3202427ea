// Kernels that the emulated GPU is tried on: right ones, and pairs of a seeded fault and its clean twin.
#include <assert.h>
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

// ---- more pairs; ReportsSeededFaults of emulator_test.cpp runs them

extern "C" __global__ void uniform_barrier(float* x) {
    if (blockIdx.x == 0) {
        __syncthreads();
        x[threadIdx.x] = 1;
    }
}
extern "C" __global__ void one_warp_waits(float* x) {
    if (threadIdx.x < 32) asm volatile("bar.sync 1, 64;" ::: "memory");
    x[threadIdx.x] = 1;
}
extern "C" __global__ void both_warps_wait(float* x) {
    asm volatile("bar.sync 1, 64;" ::: "memory");
    x[threadIdx.x] = 1;
}
// Overwrites what others may still read.
extern "C" __global__ void written_too_early(float* x) {
    __shared__ float s[128];
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    const float other = s[threadIdx.x ^ 64];
    s[threadIdx.x] = other + 1;
    __syncthreads();
    x[threadIdx.x] = s[threadIdx.x];
}
extern "C" __global__ void written_in_time(float* x) {
    __shared__ float s[128];
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    const float other = s[threadIdx.x ^ 64];
    __syncthreads();
    s[threadIdx.x] = other + 1;
    __syncthreads();
    x[threadIdx.x] = s[threadIdx.x];
}
extern "C" __global__ void without_syncwarp(float* x) {
    volatile __shared__ float s[32];
    s[threadIdx.x] = threadIdx.x;
    x[threadIdx.x] = s[threadIdx.x ^ 1];
}
extern "C" __global__ void with_syncwarp(float* x) {
    volatile __shared__ float s[32];
    s[threadIdx.x] = threadIdx.x;
    __syncwarp();
    x[threadIdx.x] = s[threadIdx.x ^ 1];
}
extern "C" __global__ void blocks_write_one_place(float* x) { if (threadIdx.x == 0) x[0] = x[0] + 1; }
extern "C" __global__ void blocks_add_atomically(float* x) { if (threadIdx.x == 0) atomicAdd(x, 1.0f); }
extern "C" __global__ void past_shared_memory(float* x) {
    __shared__ float s[64];
    volatile float* p = s;
    p[threadIdx.x + 1] = 1;
    x[threadIdx.x] = 1;
}
extern "C" __global__ void inside_shared_memory(float* x) {
    __shared__ float s[65];
    volatile float* p = s;
    p[threadIdx.x + 1] = 1;
    x[threadIdx.x] = 1;
}
extern "C" __global__ void copy_without_barrier(const float4* x, float4* y) {
    __shared__ float4 s[64];
    copy_async(&s[threadIdx.x], &x[threadIdx.x]);
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    y[threadIdx.x] = s[threadIdx.x ^ 32];
}
extern "C" __global__ void copy_with_barrier(const float4* x, float4* y) {
    __shared__ float4 s[64];
    copy_async(&s[threadIdx.x], &x[threadIdx.x]);
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x ^ 32];
}
// Of two groups under way it waits for the older one, and reads the newer.
extern "C" __global__ void awaits_one_too_few(const float4* x, float4* y) {
    __shared__ float4 s[2][64];
    copy_async(&s[0][threadIdx.x], &x[threadIdx.x]);
    copy_async(&s[1][threadIdx.x], &x[threadIdx.x]);
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    y[threadIdx.x] = s[1][threadIdx.x];
}
extern "C" __global__ void awaits_enough(const float4* x, float4* y) {
    __shared__ float4 s[2][64];
    copy_async(&s[0][threadIdx.x], &x[threadIdx.x]);
    copy_async(&s[1][threadIdx.x], &x[threadIdx.x]);
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    y[threadIdx.x] = s[0][threadIdx.x];
}
extern "C" __global__ void copies_its_argument(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }
extern "C" __global__ void branches_on_its_argument(const int* x, float* y) {
    if (x[threadIdx.x] > 3)
        for (int i = 0; i < x[0] % 7; ++i) y[threadIdx.x] += 1;
}
extern "C" __global__ void strange_mask(int* x) {
    int other = threadIdx.x;
    if (threadIdx.x < 16) other = __shfl_xor_sync(0xffff0000u, threadIdx.x, 1);
    x[threadIdx.x] = other;
}
extern "C" __global__ void right_mask(int* x) {
    int other = threadIdx.x;
    if (threadIdx.x < 16) other = __shfl_xor_sync(0x0000ffffu, threadIdx.x, 1);
    x[threadIdx.x] = other;
}
// Warp 0 hands over a value without waiting; warp 1 waits for it.
extern "C" __global__ void hands_over(float* x) {
    __shared__ float s[32];
    if (threadIdx.x < 32) {
        s[threadIdx.x] = threadIdx.x;
        asm volatile("bar.arrive 2, 64;" ::: "memory");
    } else {
        asm volatile("bar.sync 2, 64;" ::: "memory");
        x[threadIdx.x] = s[threadIdx.x - 32];
    }
}
extern "C" __global__ void takes_without_waiting(float* x) {
    __shared__ float s[32];
    if (threadIdx.x < 32) {
        s[threadIdx.x] = threadIdx.x;
        asm volatile("bar.arrive 2, 64;" ::: "memory");
    } else {
        x[threadIdx.x] = s[threadIdx.x - 32];
        asm volatile("bar.sync 2, 64;" ::: "memory");
    }
}

extern "C" __global__ void asserts_too_much(float* x) {
    assert(threadIdx.x < 60);
    x[threadIdx.x] = 1;
}
extern "C" __global__ void asserts_what_is(float* x) {
    assert(threadIdx.x < 64);
    x[threadIdx.x] = 1;
}
// Functions that are called and not inlined: nvcc keeps them as .func, and defines that of pow behind the kernels.
__noinline__ __device__ double halvings(double x, int limit) {
    int count = 0;
    while (x > 1 && count < limit) x /= 2, ++count;
    return count;
}
extern "C" __global__ void calls_functions(const double* x, const double* y, double* z) {
    const int i = threadIdx.x;
    if (i % 3 == 0)
        z[i] = pow(x[i], y[i]);
    else
        z[i] = halvings(x[i], 7) + (i % 3 == 1 ? halvings(x[i] * y[i], 50) : 0);
}
