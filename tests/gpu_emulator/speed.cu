// Kernels whose speed on the emulated GPU is measured (emulator_speed): what training spends its time in.
#include <stdint.h>

// c{n,n} = a{n,n} b{n,n}, f32: tiles of 64 by 64 by 16 in shared memory, 64 threads with 8 by 8 sums each.
extern "C" __global__ void __launch_bounds__(64) sgemm(int n, const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c) {
    __shared__ float as[16][64], bs[16][64];
    const int t = threadIdx.x, row = t / 8 * 8, column = t % 8 * 8;
    const float *from_a = a + blockIdx.y * 64 * n, *from_b = b + blockIdx.x * 64;
    float sum[8][8] = {};
    for (int k0 = 0; k0 < n; k0 += 16) {
        for (int k = 0; k < 16; ++k) {
            as[k][t] = from_a[t * n + k0 + k];
            bs[k][t] = from_b[(k0 + k) * n + t];
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 16; ++k) {
            float x[8], y[8];
#pragma unroll
            for (int i = 0; i < 8; ++i) x[i] = as[k][row + i], y[i] = bs[k][column + i];
#pragma unroll
            for (int i = 0; i < 8; ++i)
#pragma unroll
                for (int j = 0; j < 8; ++j) sum[i][j] += x[i] * y[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < 8; ++i)
        for (int j = 0; j < 8; ++j) c[(blockIdx.y * 64 + row + i) * n + blockIdx.x * 64 + column + j] = sum[i][j];
}

// A naive 3x3 convolution of one channel group: x{c,h,w}, w{k,c,3,3} -> y{k,h,w}, one output a thread.
extern "C" __global__ void conv3x3(int channels, int size, const float* __restrict__ x, const float* __restrict__ w, float* __restrict__ y) {
    const int q = threadIdx.x, p = blockIdx.x, k = blockIdx.y;
    float sum = 0;
    for (int c = 0; c < channels; ++c)
        for (int r = -1; r <= 1; ++r)
            for (int s = -1; s <= 1; ++s) {
                const int h = p + r, v = q + s;
                if (h >= 0 && h < size && v >= 0 && v < size) sum += x[(c * size + h) * size + v] * w[((k * channels + c) * 3 + r + 1) * 3 + s + 1];
            }
    y[(k * size + p) * size + q] = sum;
}

__device__ __forceinline__ uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

// c{n,n} f32 = a{n,n} b{n,n}^T in bf16: tiles of 64 by 64 by 32, cp.async in two stages, ldmatrix, mma; 4 warps of 32 by 32.
extern "C" __global__ void __launch_bounds__(128) mma_gemm(int n, const uint16_t* __restrict__ a, const uint16_t* __restrict__ b, float* __restrict__ c) {
    __shared__ __align__(128) uint16_t as[2][64 * 32], bs[2][64 * 32];
    const int t = threadIdx.x, lane = t % 32, warp = t / 32, row0 = warp / 2 * 32, column0 = warp % 2 * 32;
    const auto place = [](int row, int chunk) { return row * 32 + (chunk ^ (row >> 1 & 3)) * 8; };
    const auto load = [&](int stage, int k0) {
        for (int i = 0; i < 2; ++i) {
            const int chunk = t + 128 * i, row = chunk / 4, part = chunk % 4;
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(&as[stage][place(row, part)])), "l"(a + (blockIdx.y * 64 + row) * n + k0 + part * 8) : "memory");
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(&bs[stage][place(row, part)])), "l"(b + (blockIdx.x * 64 + row) * n + k0 + part * 8) : "memory");
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
    };
    float sum[2][4][4] = {};
    load(0, 0);
    for (int step = 0; step < n / 32; ++step) {
        if (step + 1 < n / 32) {
            load((step + 1) & 1, (step + 1) * 32);
            asm volatile("cp.async.wait_group 1;" ::: "memory");
        } else {
            asm volatile("cp.async.wait_group 0;" ::: "memory");
        }
        __syncthreads();
        const uint16_t *sa = as[step & 1], *sb = bs[step & 1];
#pragma unroll
        for (int kk = 0; kk < 2; ++kk) {
            uint32_t fa[2][4], fb[2][4];
            for (int m = 0; m < 2; ++m)
                asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(fa[m][0]), "=r"(fa[m][1]), "=r"(fa[m][2]), "=r"(fa[m][3]) : "r"(shared_address(&sa[place(row0 + m * 16 + lane % 16, kk * 2 + lane / 16)])));
            for (int j = 0; j < 2; ++j)
                asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(fb[j][0]), "=r"(fb[j][1]), "=r"(fb[j][2]), "=r"(fb[j][3]) : "r"(shared_address(&sb[place(column0 + j * 16 + lane / 16 * 8 + lane % 8, kk * 2 + lane / 8 % 2)])));
            for (int m = 0; m < 2; ++m)
                for (int j = 0; j < 4; ++j) {
                    float(&d)[4] = sum[m][j];
                    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};" : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(fa[m][0]), "r"(fa[m][1]), "r"(fa[m][2]), "r"(fa[m][3]), "r"(fb[j / 2][j % 2 * 2]), "r"(fb[j / 2][j % 2 * 2 + 1]));
                }
        }
        __syncthreads();
    }
    for (int m = 0; m < 2; ++m)
        for (int j = 0; j < 4; ++j) {
            const int row = blockIdx.y * 64 + row0 + m * 16 + lane / 4, column = blockIdx.x * 64 + column0 + j * 8 + lane % 4 * 2;
            *reinterpret_cast<float2*>(&c[row * n + column]) = make_float2(sum[m][j][0], sum[m][j][1]);
            *reinterpret_cast<float2*>(&c[(row + 8) * n + column]) = make_float2(sum[m][j][2], sum[m][j][3]);
        }
}

extern "C" __global__ void axpy(int n, float a, const float* x, float* y) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}
