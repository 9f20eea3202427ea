// dw and db of a linear layer with rounded operands: outer products x dy^T, image by image, and leaf by leaf in the fixed
// tree. A leaf has a few images, of which a tensor core would waste most of its work, and partial sums of leaves would be
// several times the bytes of dw; here they stay in registers. A block of (32, 8) threads has 128 features and 8 or 32
// outputs, a thread 4 features of each of its outputs. Bound by writing dw.
#include "kernels/cuda/leaf_tree.cuh"
#include "kernels/cuda/tensor_core.cuh"
#include "kernels/kernel.h"
#include "kernels/linear/linear_gradient.h"

namespace xbench {

// Four features of an image, of which `left` are there.
template <Product product>
__device__ __forceinline__ void load_features(float (&x)[4], const float* from, int left, bool vectors) {
    if (vectors && left >= 4) {
        const float4 four = *reinterpret_cast<const float4*>(from);
        x[0] = four.x, x[1] = four.y, x[2] = four.z, x[3] = four.w;
    } else {
#pragma unroll
        for (int i = 0; i < 4; ++i) x[i] = i < left ? from[i] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) x[i] = rounded<product>(x[i]);
}

template <int rows, int depth>
__device__ __forceinline__ void store_features(const LinearGradient& p, const LeafTree<float, depth> (&trees)[rows][4],
                                               int output, int feature, int leaves) {
    const int left = p.features - feature;
#pragma unroll
    for (int row = 0; row < rows; ++row) {
        const int k = output + row * outer_lanes;
        if (k >= p.outputs || left <= 0) continue;
        float* const to = p.dw + static_cast<int64_t>(k) * p.features + feature;
        float sums[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[i] = trees[row][i].total(leaves);
        if (p.dw_vectors && left >= 4) {
            *reinterpret_cast<float4*>(to) = make_float4(sums[0], sums[1], sums[2], sums[3]);
            continue;
        }
#pragma unroll
        for (int i = 0; i < 4; ++i)
            if (i < left) to[i] = sums[i];
    }
}

template <Product product, int rows, int depth>
__device__ __forceinline__ void outer_products(const LinearGradient& p, const StepContext* step) {
    const int feature = blockIdx.x * outer_columns + 4 * threadIdx.x;
    const int output = blockIdx.y * (outer_lanes * rows) + threadIdx.y, leaves = step->leaves;
    LeafTree<float, depth> trees[rows][4];
#pragma unroll 1
    for (int v = 0; v < leaves; ++v) {
        float sums[rows][4] = {};
        const int end = step->leaf_begin[v + 1];
#pragma unroll 2
        for (int image = step->leaf_begin[v]; image < end; ++image) {
            float x[4];
            load_features<product>(x, p.x + static_cast<int64_t>(image) * p.features + feature, p.features - feature,
                                   p.x_vectors);
#pragma unroll
            for (int row = 0; row < rows; ++row) {
                const int k = output + row * outer_lanes;
                const float dy = k < p.outputs ? rounded<product>(p.dy[static_cast<int64_t>(image) * p.outputs + k]) : 0.0f;
#pragma unroll
                for (int i = 0; i < 4; ++i) sums[row][i] += dy * x[i];
            }
        }
#pragma unroll
        for (int row = 0; row < rows; ++row)
#pragma unroll
            for (int i = 0; i < 4; ++i) trees[row][i].add(v, sums[row][i]);
    }
    store_features<rows, depth>(p, trees, output, feature, leaves);
}

template <Product product>
__device__ __forceinline__ void bias_sums(const LinearGradient& p, const StepContext* step) {
    const int k = blockIdx.x * 256 + threadIdx.x;
    if (k >= p.outputs) return;
    LeafTree<float> tree;
    for (int v = 0; v < step->leaves; ++v) {
        float sum = 0;
        for (int image = step->leaf_begin[v]; image < step->leaf_begin[v + 1]; ++image)
            sum += rounded<product>(p.dy[static_cast<int64_t>(image) * p.outputs + k]);
        tree.add(v, sum);
    }
    p.db[k] = tree.total(step->leaves);
}

#define XB_OUTER_KERNELS(product)                                                                    \
    extern "C" __global__ void __launch_bounds__(256, 1)                                             \
        xb_outer_few_##product(const __grid_constant__ LinearGradient p, const StepContext* step) {  \
        outer_products<Product::product, rows_with_few_leaves, 4>(p, step);                          \
    }                                                                                                \
    extern "C" __global__ void __launch_bounds__(256, 1)                                             \
        xb_outer_many_##product(const __grid_constant__ LinearGradient p, const StepContext* step) { \
        outer_products<Product::product, rows_with_many_leaves, leaf_tree_depth>(p, step);           \
    }                                                                                                \
    extern "C" __global__ void __launch_bounds__(256)                                                \
        xb_outer_bias_##product(const __grid_constant__ LinearGradient p, const StepContext* step) { \
        bias_sums<Product::product>(p, step);                                                        \
    }
XB_OUTER_KERNELS(bf16)
XB_OUTER_KERNELS(f16)
XB_OUTER_KERNELS(tf32)

}  // namespace xbench
