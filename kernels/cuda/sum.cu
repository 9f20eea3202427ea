// total[i] = the sum of the addends' elements i in the tree that `merges` describes (kernels/rank_sum/rank_sum.h). A thread
// an element; bound by memory: `count` reads and a write an element. The stack of sums is kept in registers, the newest
// first.
#include "kernels/cuda/sum.h"
#include "kernels/leaf_tree.h"

namespace {

template <class T>
__device__ __forceinline__ void sum_in_tree(const xbench::CudaAddends<T>& addends, T* total, int64_t count) {
    const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
        T stack[xbench::leaf_tree_depth] = {};
        int level = 0;
        const auto merge = [&] {
            stack[0] = stack[1] + stack[0];
#pragma unroll
            for (int s = 1; s + 1 < xbench::leaf_tree_depth; ++s) stack[s] = stack[s + 1];
            --level;
        };
        for (int k = 0; k < addends.count; ++k) {
#pragma unroll
            for (int s = xbench::leaf_tree_depth - 1; s > 0; --s) stack[s] = stack[s - 1];
            stack[0] = addends.from[k][i];
            ++level;
            for (int left = addends.merges[k]; left > 0; --left) merge();
        }
        while (level > 1) merge();
        total[i] = stack[0];
    }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(256)
    xb_sum_f32(const __grid_constant__ xbench::CudaAddends<float> addends, float* total, int64_t count) {
    sum_in_tree(addends, total, count);
}

extern "C" __global__ void __launch_bounds__(256)
    xb_sum_f64(const __grid_constant__ xbench::CudaAddends<double> addends, double* total, int64_t count) {
    sum_in_tree(addends, total, count);
}
