// dropout and its gradient (core/ops.h): y = keep ? x * scale : 0, with the masks that a CPU makes. Four elements a thread,
// which share one call of the generator unless the mask is one a channel.
#include "kernels/cuda/map.cuh"
#include "kernels/cuda/philox.cuh"

using namespace xbench;

// One grid for images {n}{channels, pixels}: blocks cover 4 * blockDim.x elements of an image, which is blockIdx.x divided
// by the blocks of one.
extern "C" __global__ void dropout_images(const float* x, float* y, Dropout dropout, const StepContext* step,
                                          int64_t channels, int64_t pixels, unsigned blocks_of_image, int vectors) {
    const int64_t image = blockIdx.x / blocks_of_image, count = channels * pixels;
    const int64_t first = 4 * (static_cast<int64_t>(blockIdx.x % blocks_of_image) * blockDim.x + threadIdx.x);
    if (first >= count) return;
    const KeepMask keep(dropout, step, pixels);
    Four four = load_four(x + image * count, first, count, vectors);
    unsigned mask = 15;
    if (dropout.per_channel) {
        mask = 0;
#pragma unroll
        for (int i = 0; i < 4; ++i)
            if (first + i < count) mask |= (keep(image, (first + i) / pixels, 0) ? 1u : 0u) << i;
    } else if (keep.on()) {
        mask = keep.four(keep.key(image), first);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) four.v[i] = mask >> i & 1 ? four.v[i] * keep.scale() : 0.0f;
    store_four(y + image * count, four, first, count, vectors);
}
