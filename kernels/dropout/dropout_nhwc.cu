// dropout and its gradient (core/ops.h) of f32 images in nhwc: y = keep ? x * scale : 0. The mask follows the logical
// element, channel by channel, so neighbouring threads share no call of the generator. A thread an element. Bound by the
// generator.
#include "kernels/cuda/philox.cuh"

using namespace xbench;

extern "C" __global__ void dropout_nhwc(const float* x, float* y, Dropout dropout, const StepContext* step, int channels,
                                        int pixels, unsigned blocks_of_image) {
    const int count = channels * pixels, at = static_cast<int>(blockIdx.x % blocks_of_image * blockDim.x + threadIdx.x);
    if (at >= count) return;
    const int64_t image = blockIdx.x / blocks_of_image, place = image * count + at;
    const KeepMask keep(dropout, step, pixels);
    y[place] = keep(image, at % channels, at / channels) ? x[place] * keep.scale() : 0.0f;
}
