// dw and db of a linear layer with rounded operands: outer products x dy^T, image by image, and leaf by leaf in the fixed
// tree. A leaf has a few images, of which a tensor core would waste most of its work, and partial sums of leaves would be
// several times the bytes of dw; here they stay in registers. A block of (32, 16) threads has 128 features and 16 or 64
// outputs, a thread 4 features of each of its outputs; x and dy of some images lie rounded in shared memory, so that a block
// reads each once. Bound by writing dw.
#include "kernels/cuda/leaf_tree.cuh"
#include "kernels/cuda/quad.cuh"
#include "kernels/cuda/tensor_core.cuh"
#include "kernels/kernel.h"
#include "kernels/linear/leaf_ends.cuh"
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
        const int k = output + row;
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

// x and dy of `count` images, as the block multiplies them.
template <int rows>
struct StagedImages {
    static constexpr int outputs = outer_lanes * rows;
    float x[outer_images][outer_columns], dy[outer_images][outputs];

    template <Product product>
    __device__ __forceinline__ void load(const LinearGradient& p, int first, int count, int first_feature,
                                         int first_output) {
        const int thread = static_cast<int>(threadIdx.y * 32 + threadIdx.x);
        for (int at = thread; at < count * outer_columns / 4; at += 32 * outer_lanes) {
            const int image = at / (outer_columns / 4), feature = at % (outer_columns / 4) * 4;
            float four[4];
            load_features<product>(four, p.x + static_cast<int64_t>(first + image) * p.features + first_feature + feature,
                                   p.features - first_feature - feature, p.x_vectors);
            *reinterpret_cast<float4*>(&x[image][feature]) = make_float4(four[0], four[1], four[2], four[3]);
        }
        for (int at = thread; at < count * outputs; at += 32 * outer_lanes) {
            const int image = at / outputs, output = at - image * outputs, k = first_output + output;
            dy[image][output] =
                k < p.outputs ? rounded<product>(p.dy[static_cast<int64_t>(first + image) * p.outputs + k]) : 0.0f;
        }
    }
    // Of the thread's outputs.
    __device__ __forceinline__ void gradients(float (&of_rows)[rows], int image) const {
        const float* const from = &dy[image][rows * threadIdx.y];
        if constexpr (rows == 4) {
            const float4 four = load_shared_quad(from);
            of_rows[0] = four.x, of_rows[1] = four.y, of_rows[2] = four.z, of_rows[3] = four.w;
        } else {
#pragma unroll
            for (int row = 0; row < rows; ++row) of_rows[row] = from[row];
        }
    }
};

template <Product product, int rows, int depth>
__device__ __forceinline__ void outer_products(const LinearGradient& p, const StepContext* step) {
    __shared__ __align__(16) StagedImages<rows> staged;
    __shared__ int32_t shared_ends[few_leaves];
    const int first_feature = blockIdx.x * outer_columns, first_output = blockIdx.y * (outer_lanes * rows);
    const int leaves = step->leaves;
    const LeafEnds<depth> ends(step, leaves, shared_ends, static_cast<int>(threadIdx.y * 32 + threadIdx.x));
    LeafTree<float, depth> trees[rows][4];
    float sums[rows][4] = {};
    int v = 0;
    const auto close_leaves_before = [&](int image) {
#pragma unroll 1
        for (; v < leaves && ends[v] <= image; ++v) {
#pragma unroll
            for (int row = 0; row < rows; ++row)
#pragma unroll
                for (int i = 0; i < 4; ++i) trees[row][i].add(v, sums[row][i]), sums[row][i] = 0;
        }
    };
    const int images = ends[leaves - 1];
#pragma unroll 1
    for (int first = 0; first < images; first += outer_images) {
        const int count = min(outer_images, images - first);
        __syncthreads();  // everybody has read what is overwritten
        staged.template load<product>(p, first, count, first_feature, first_output);
        __syncthreads();
#pragma unroll 1
        for (int image = 0; image < count; ++image) {
            close_leaves_before(first + image);
            const float4 x = load_shared_quad(&staged.x[image][4 * threadIdx.x]);
            float dy[rows];
            staged.gradients(dy, image);
#pragma unroll
            for (int row = 0; row < rows; ++row) {
                sums[row][0] += dy[row] * x.x, sums[row][1] += dy[row] * x.y;
                sums[row][2] += dy[row] * x.z, sums[row][3] += dy[row] * x.w;
            }
        }
    }
    close_leaves_before(images);
    store_features<rows, depth>(p, trees, first_output + rows * threadIdx.y, first_feature + 4 * threadIdx.x, leaves);
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
    extern "C" __global__ void __launch_bounds__(32 * outer_lanes, 1)                                \
        xb_outer_few_##product(const __grid_constant__ LinearGradient p, const StepContext* step) {  \
        outer_products<Product::product, rows_with_few_leaves, 4>(p, step);                          \
    }                                                                                                \
    extern "C" __global__ void __launch_bounds__(32 * outer_lanes, 1)                                \
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
