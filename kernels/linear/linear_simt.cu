// The fully connected layer and its gradients (core/ops.h), f32. Outputs are few and sums are long: both passes that read
// the filters are cut along the sum, too, and the parts are added in ascending order. Tiles lie in shared memory as in
// global, rows of 36 floats, so that neither the 128-bit stores nor the 128-bit loads of a quarter warp meet in a bank.
#include "kernels/cuda/image_sums.cuh"
#include "kernels/cuda/map.cuh"
#include "kernels/linear/leaf_ends.cuh"
#include "kernels/linear/linear_parts.h"

using namespace xbench;

namespace {

constexpr int tile = 32, pitch = 36, threads = 64;  // a thread has 4 x 4 outputs of a tile of 32 x 32
static_assert(linear_tile == tile && linear_threads == threads);

struct Tile {
    float v[tile][pitch];
};

// Rows first_row .. of a matrix {rows, columns}, columns first_column ..; zeros outside.
__device__ __forceinline__ void load_tile(Tile& to, const float* from, int64_t rows, int64_t columns, int64_t first_row,
                                          int64_t first_column, int64_t end_column, int vectors) {
#pragma unroll
    for (int i = 0; i < tile * tile / (4 * threads); ++i) {
        const int at = i * threads + static_cast<int>(threadIdx.x), row = at / (tile / 4), column = at % (tile / 4) * 4;
        Four four{{0, 0, 0, 0}};
        if (first_row + row < rows)
            four = load_four(from + (first_row + row) * columns, first_column + column, end_column, vectors);
        *reinterpret_cast<float4*>(&to.v[row][column]) = make_float4(four.v[0], four.v[1], four.v[2], four.v[3]);
    }
}

__device__ __forceinline__ float4 four_at(const Tile& from, int row, int column) {
    return *reinterpret_cast<const float4*>(&from.v[row][column]);
}

__device__ __forceinline__ float dot(float4 a, float4 b, float sum) {
    return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

__device__ __forceinline__ void add_scaled(float (&sum)[4], float factor, float4 row) {
    sum[0] = fmaf(factor, row.x, sum[0]);
    sum[1] = fmaf(factor, row.y, sum[1]);
    sum[2] = fmaf(factor, row.z, sum[2]);
    sum[3] = fmaf(factor, row.w, sum[3]);
}

}  // namespace

// parts[z]{n,k} = x{n,f} w{k,f}^T over the z-th part of f. Rows ty + 8 i, filters tx + 8 j: neighbours are 9 quads apart.
extern "C" __global__ void linear_forward(const float* x, const float* w, float* parts, int64_t n, int64_t k, int64_t f,
                                          int64_t part, int vectors) {
    __shared__ Tile xs, ws;
    const int tx = static_cast<int>(threadIdx.x % 8), ty = static_cast<int>(threadIdx.x / 8);
    const int64_t row = static_cast<int64_t>(blockIdx.y) * tile, filter = static_cast<int64_t>(blockIdx.x) * tile;
    const int64_t begin = blockIdx.z * part, end = min(begin + part, f);
    float sum[4][4] = {};
    for (int64_t at = begin; at < end; at += tile) {
        load_tile(xs, x, n, f, row, at, end, vectors);
        load_tile(ws, w, k, f, filter, at, end, vectors);
        __syncthreads();
#pragma unroll
        for (int depth = 0; depth < tile; depth += 4) {
            float4 a[4], b[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) a[i] = four_at(xs, ty + 8 * i, depth), b[i] = four_at(ws, tx + 8 * i, depth);
#pragma unroll
            for (int i = 0; i < 4; ++i)
#pragma unroll
                for (int j = 0; j < 4; ++j) sum[i][j] = dot(a[i], b[j], sum[i][j]);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j)
            if (row + ty + 8 * i < n && filter + tx + 8 * j < k)
                parts[(blockIdx.z * n + row + ty + 8 * i) * k + filter + tx + 8 * j] = sum[i][j];
}

// The sum of all parts in ascending order, the bias, the activation.
extern "C" __global__ void linear_finish(const float* parts, const float* bias, float* y, int64_t count, int k,
                                         int part_count, int with_relu) {
    const int64_t i = thread_of_grid();
    if (i >= count) return;
    float sum = 0;
#pragma unroll 8
    for (int part = 0; part < part_count; ++part) sum += parts[part * count + i];
    if (bias) sum += bias[i % k];
    y[i] = with_relu ? relu(sum) : sum;
}

// dx{n,f} = dy{n,k} w{k,f}. Rows 4 ty + i, columns 4 tx + j.
extern "C" __global__ void linear_dgrad(const float* dy, const float* w, float* dx, int64_t n, int64_t k, int64_t f,
                                        int dy_vectors, int vectors) {
    __shared__ Tile dys, ws;
    const int tx = static_cast<int>(threadIdx.x % 8), ty = static_cast<int>(threadIdx.x / 8);
    const int64_t row = static_cast<int64_t>(blockIdx.y) * tile, column = static_cast<int64_t>(blockIdx.x) * tile;
    float sum[4][4] = {};
    for (int64_t at = 0; at < k; at += tile) {
        load_tile(dys, dy, n, k, row, at, k, dy_vectors);
        load_tile(ws, w, k, f, at, column, f, vectors);
        __syncthreads();
#pragma unroll
        for (int depth = 0; depth < tile; depth += 4) {
            float4 a[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) a[i] = four_at(dys, 4 * ty + i, depth);
#pragma unroll
            for (int d = 0; d < 4; ++d) {
                const float4 b = four_at(ws, depth + d, 4 * tx);
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    add_scaled(sum[i], d == 0 ? a[i].x : d == 1 ? a[i].y : d == 2 ? a[i].z : a[i].w, b);
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
        if (row + 4 * ty + i < n)
            store_four(dx + (row + 4 * ty + i) * f, Four{{sum[i][0], sum[i][1], sum[i][2], sum[i][3]}}, column + 4 * tx, f,
                       vectors);
}

// dw{k,f} = sum over n of dy{n,k} x{n,f}: a thread has four neighbouring f of a filter and meets the images in order, so
// that the whole tree over leaves stays in its registers. blockDim is (32, 8): 128 f, 8 filters.
extern "C" __global__ void linear_wgrad(const float* x, const float* dy, float* dw, int64_t k, int64_t f,
                                        const StepContext* step, int vectors) {
    const int64_t first = 4 * (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x);
    const int64_t filter = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y;
    if (first >= f || filter >= k) return;
    LeafTree<float> tree[4];
    const int leaves = step->leaves;
    for (int v = 0; v < leaves; ++v) {
        float sum[4] = {};
        const int end = step->leaf_begin[v + 1];
#pragma unroll 4
        for (int n = step->leaf_begin[v]; n < end; ++n) {
            const Four row = load_four(x + n * f, first, f, vectors);
            add_scaled(sum, dy[n * k + filter], make_float4(row.v[0], row.v[1], row.v[2], row.v[3]));
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) tree[i].add(v, sum[i]);
    }
    Four total;
#pragma unroll
    for (int i = 0; i < 4; ++i) total.v[i] = tree[i].total(leaves);
    store_four(dw + filter * f, total, first, f, vectors);
}

// The same where there are fewer than 16 leaves, so that the trees of 4 x 4 sums fit into registers: a block makes 128 f of
// 64 filters from rows of x and dy in shared memory. The bits are the same.
extern "C" __global__ void __launch_bounds__(wgrad_threads, 1)
    linear_wgrad_few_leaves(const float* x, const float* dy, float* dw, int k, int f, const StepContext* step,
                            int vectors, int dy_vectors) {
    constexpr int images = 16, columns = wgrad_columns, filters = wgrad_filters, across = columns / 4, down = filters / 4;
    static_assert(across * down == wgrad_threads);
    __shared__ __align__(16) float xs[images][columns], dys[images][filters];
    __shared__ int32_t shared_ends[few_leaves];
    const int thread = static_cast<int>(threadIdx.x), tx = thread % across, ty = thread / across;
    const int first_column = static_cast<int>(blockIdx.x) * columns, first_filter = static_cast<int>(blockIdx.y) * filters;
    const int leaves = step->leaves;
    const LeafEnds<few_leaves_depth> ends(step, leaves, shared_ends, thread);
    LeafTree<float, few_leaves_depth> tree[4][4];
#pragma unroll 1
    for (int v = 0, begin = 0; v < leaves; ++v) {
        float sum[4][4] = {};
        const int end = ends[v];
#pragma unroll 1
        for (int n = begin; n < end; n += images) {
            const int count = min(images, end - n);
            __syncthreads();  // everybody has read what is overwritten
#pragma unroll 1
            for (int at = thread; at < count * across; at += wgrad_threads) {
                const Four four = load_four(x + static_cast<int64_t>(n + at / across) * f, first_column + at % across * 4, f, vectors);
                *reinterpret_cast<float4*>(&xs[at / across][at % across * 4]) =
                    make_float4(four.v[0], four.v[1], four.v[2], four.v[3]);
            }
#pragma unroll 1
            for (int at = thread; at < count * down; at += wgrad_threads) {
                const Four four =
                    load_four(dy + static_cast<int64_t>(n + at / down) * k, first_filter + at % down * 4, k, dy_vectors);
                *reinterpret_cast<float4*>(&dys[at / down][at % down * 4]) =
                    make_float4(four.v[0], four.v[1], four.v[2], four.v[3]);
            }
            __syncthreads();
#pragma unroll 1
            for (int i = 0; i < count; ++i) {
                const float4 row = load_shared_quad(&xs[i][4 * tx]), factor = load_shared_quad(&dys[i][4 * ty]);
                add_scaled(sum[0], factor.x, row);
                add_scaled(sum[1], factor.y, row);
                add_scaled(sum[2], factor.z, row);
                add_scaled(sum[3], factor.w, row);
            }
        }
        begin = end;
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) tree[i][j].add(v, sum[i][j]);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        Four total;
#pragma unroll
        for (int j = 0; j < 4; ++j) total.v[j] = tree[i][j].total(leaves);
        const int filter = first_filter + 4 * ty + i;
        if (filter < k && first_column + 4 * tx < f) store_four(dw + static_cast<int64_t>(filter) * f, total, first_column + 4 * tx, f, vectors);
    }
}

extern "C" __global__ void linear_bias_gradient(Partials<float> dy, const StepContext* step, float* db) {
    const int64_t column = static_cast<int64_t>(blockIdx.x) * sum_columns + threadIdx.x;
    const float sum = sum_over_leaves(dy, step, column);
    if (threadIdx.y == 0 && column < dy.width) db[column] = sum;
}
