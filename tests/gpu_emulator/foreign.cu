// Kernels whose bodies nobody of this project wrote: CUB's collectives of blocks and warps, which come with the CUDA toolkit.
// Each gets integers or floats in x and leaves its result in y; foreign_test.cpp knows what that is.
#include <cub/block/block_adjacent_difference.cuh>
#include <cub/block/block_discontinuity.cuh>
#include <cub/block/block_exchange.cuh>
#include <cub/block/block_histogram.cuh>
#include <cub/block/block_merge_sort.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cub/block/block_shuffle.cuh>
#include <cub/warp/warp_merge_sort.cuh>
#include <cub/warp/warp_reduce.cuh>
#include <cub/warp/warp_scan.cuh>

constexpr int threads = 128, items = 4;

__device__ void load(int (&v)[items], const int* x) {
    for (int i = 0; i < items; ++i) v[i] = x[threadIdx.x * items + i];
}
__device__ void store(const int (&v)[items], int* y) {
    for (int i = 0; i < items; ++i) y[threadIdx.x * items + i] = v[i];
}
struct Less {
    __device__ bool operator()(int a, int b) const { return a < b; }
};
struct Larger {
    __device__ int operator()(int a, int b) const { return a < b ? b : a; }
};
struct Minus {
    __device__ int operator()(int a, int b) const { return a - b; }
};
struct Unequal {
    __device__ bool operator()(int a, int b) const { return a != b; }
};

template <cub::BlockReduceAlgorithm algorithm>
__device__ void reduce(const int* x, int* y) {
    using Reduce = cub::BlockReduce<int, threads, algorithm>;
    __shared__ typename Reduce::TempStorage storage;
    int v[items];
    load(v, x);
    const int sum = Reduce(storage).Sum(v);
    if (threadIdx.x == 0) y[0] = sum;
}
extern "C" __global__ void block_reduce(const int* x, int* y) { reduce<cub::BLOCK_REDUCE_WARP_REDUCTIONS>(x, y); }
extern "C" __global__ void block_reduce_raking(const int* x, int* y) { reduce<cub::BLOCK_REDUCE_RAKING>(x, y); }

template <cub::BlockScanAlgorithm algorithm>
__device__ void scan(const int* x, int* y) {
    using Scan = cub::BlockScan<int, threads, algorithm>;
    __shared__ typename Scan::TempStorage storage;
    int v[items];
    load(v, x);
    Scan(storage).InclusiveSum(v, v);
    store(v, y);
}
extern "C" __global__ void block_scan(const int* x, int* y) { scan<cub::BLOCK_SCAN_WARP_SCANS>(x, y); }
extern "C" __global__ void block_scan_raking(const int* x, int* y) { scan<cub::BLOCK_SCAN_RAKING>(x, y); }

extern "C" __global__ void __launch_bounds__(threads) block_radix_sort(const int* x, int* y) {
    using Sort = cub::BlockRadixSort<int, threads, items>;
    __shared__ typename Sort::TempStorage storage;
    int v[items];
    load(v, x);
    Sort(storage).Sort(v);
    store(v, y);
}
extern "C" __global__ void block_merge_sort(const int* x, int* y) {
    using Sort = cub::BlockMergeSort<int, threads, items>;
    __shared__ typename Sort::TempStorage storage;
    int v[items];
    load(v, x);
    Sort(storage).Sort(v, Less());
    store(v, y);
}
extern "C" __global__ void warp_merge_sort(const int* x, int* y) {
    using Sort = cub::WarpMergeSort<int, items, 32>;
    __shared__ typename Sort::TempStorage storage[threads / 32];
    int v[items];
    load(v, x);
    Sort(storage[threadIdx.x / 32]).Sort(v, Less());
    store(v, y);
}
extern "C" __global__ void block_exchange(const int* x, int* y) {
    using Exchange = cub::BlockExchange<int, threads, items>;
    __shared__ typename Exchange::TempStorage storage;
    int v[items];
    load(v, x);
    Exchange(storage).BlockedToStriped(v, v);
    for (int i = 0; i < items; ++i) y[i * threads + threadIdx.x] = v[i];  // striped: the order is that of x
}
extern "C" __global__ void block_histogram(const int* x, int* y) {
    using Histogram = cub::BlockHistogram<unsigned char, threads, items, 16>;
    __shared__ typename Histogram::TempStorage storage;
    __shared__ int counts[16];
    unsigned char v[items];
    for (int i = 0; i < items; ++i) v[i] = x[threadIdx.x * items + i] & 15;
    Histogram(storage).Histogram(v, counts);
    __syncthreads();
    if (threadIdx.x < 16) y[threadIdx.x] = counts[threadIdx.x];
}
extern "C" __global__ void block_discontinuity(const int* x, int* y) {
    using Heads = cub::BlockDiscontinuity<int, threads>;
    __shared__ typename Heads::TempStorage storage;
    int v[items], flags[items];
    load(v, x);
    Heads(storage).FlagHeads(flags, v, Unequal());
    store(flags, y);
}
extern "C" __global__ void block_difference(const int* x, int* y) {
    using Difference = cub::BlockAdjacentDifference<int, threads>;
    __shared__ typename Difference::TempStorage storage;
    int v[items], d[items];
    load(v, x);
    Difference(storage).SubtractLeft(v, d, Minus());
    store(d, y);
}
extern "C" __global__ void block_shuffle(const int* x, int* y) {
    using Shuffle = cub::BlockShuffle<int, threads>;
    __shared__ typename Shuffle::TempStorage storage;
    int v[items], up[items];
    load(v, x);
    for (int i = 0; i < items; ++i) up[i] = -1;
    Shuffle(storage).Up(v, up);
    store(up, y);
}
extern "C" __global__ void warp_reduce(const int* x, int* y) {
    using Reduce = cub::WarpReduce<int>;
    __shared__ typename Reduce::TempStorage storage[threads / 32];
    const int most = Reduce(storage[threadIdx.x / 32]).Reduce(x[threadIdx.x], Larger());
    if (threadIdx.x % 32 == 0) y[threadIdx.x / 32] = most;
}
extern "C" __global__ void warp_scan(const int* x, int* y) {
    using Scan = cub::WarpScan<int, 8>;
    __shared__ typename Scan::TempStorage storage[threads / 8];
    Scan(storage[threadIdx.x / 8]).ExclusiveSum(x[threadIdx.x], y[threadIdx.x]);
}
