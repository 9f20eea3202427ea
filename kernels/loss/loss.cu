// softmax_cross_entropy, bce_with_logits and their gradients (core/ops.h), in double inside as on a CPU: logits are few. A
// warp takes an image, its lanes the classes. The images' losses go to the workspace; sum_losses adds them over the leaves.
#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/image_sums.cuh"
#include "kernels/loss/terms.h"

using namespace xbench;

namespace {

__device__ __forceinline__ int64_t warp_of_grid() {
    return static_cast<int64_t>(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
}
__device__ __forceinline__ int lane_of_warp() { return static_cast<int>(threadIdx.x % 32); }

__device__ double warp_max(double value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        const double other = __shfl_xor_sync(whole_warp, value, distance);
        value = fmax(value, other);
    }
    return value;
}

// Of the gradients: 1 / images, times the loss scale where there is one.
__device__ double gradient_scale(const StepContext& step) {
    return step.loss_scale ? step.inverse_batch * static_cast<double>(*step.loss_scale) : step.inverse_batch;
}

__device__ double log1p_exp_negative(double z) { return log1p(exp(-fabs(z))) + fmax(-z, 0.0); }

__device__ double sigmoid(double z) {
    const double e = exp(-fabs(z));
    return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

}  // namespace

// A NaN among the logits is lost by fmax, but not by the sum of their exponentials.
extern "C" __global__ void softmax_losses(const float* logits, const int32_t* labels, const float* class_weight,
                                          float* probabilities, double* losses, int64_t images, int classes, Loss a) {
    const int64_t n = warp_of_grid();
    if (n >= images) return;
    const float* const row = logits + n * classes;
    double largest = -INFINITY, sum = 0;
    for (int k = lane_of_warp(); k < classes; k += 32) largest = fmax(largest, static_cast<double>(row[k]));
    largest = warp_max(largest);
    for (int k = lane_of_warp(); k < classes; k += 32) sum += exp(static_cast<double>(row[k]) - largest);
    sum = warp_sum(sum);
    for (int k = lane_of_warp(); k < classes; k += 32)
        probabilities[n * classes + k] = static_cast<float>(exp(static_cast<double>(row[k]) - largest) / sum);
    const double of_label = log(sum) - (static_cast<double>(row[labels[n]]) - largest);
    double loss = of_label;
    if (a.focal) {
        loss = weight_of(class_weight, labels[n]) * focal_softmax(a, of_label);
    } else if (!is_plain(a, class_weight)) {
        double part = 0;
        for (int k = lane_of_warp(); k < classes; k += 32)
            part += share_of_loss(weight_of(class_weight, k) * smoothed(a, k == labels[n], classes),
                                  log(sum) - (static_cast<double>(row[k]) - largest));
        loss = warp_sum(part);
    }
    if (lane_of_warp() == 0) losses[n] = loss;
}

extern "C" __global__ void bce_losses(const float* logits, const float* targets, const float* pos_weight,
                                      const float* class_weight, float* probabilities, double* losses, int64_t images,
                                      int classes, Loss a) {
    const int64_t n = warp_of_grid();
    if (n >= images) return;
    double loss = 0;
    for (int k = lane_of_warp(); k < classes; k += 32) {
        const double z = logits[n * classes + k], t = targets[n * classes + k];
        const double weight = pos_weight ? static_cast<double>(pos_weight[k]) : 1.0;
        probabilities[n * classes + k] = static_cast<float>(sigmoid(z));
        if (t < 0) continue;  // unknown
        if (!is_plain(a, class_weight)) {
            loss += weight_of(class_weight, k) * binary_loss(a, z, t, weight);
            continue;
        }
        loss += (1 - t) * z + (1 + (weight - 1) * t) * log1p_exp_negative(z);
    }
    loss = warp_sum(loss);
    if (lane_of_warp() == 0) losses[n] = loss / classes;
}

extern "C" __global__ void sum_losses(Partials<double> losses, const StepContext* step, double* total) {
    const double sum = sum_over_leaves(losses, step, threadIdx.x);
    if (threadIdx.x == 0 && threadIdx.y == 0) *total = sum;
}

extern "C" __global__ void softmax_gradient(const float* probabilities, const int32_t* labels, float* dlogits, int64_t count,
                                            int classes, const StepContext* step) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int64_t n = i / classes;
    const double hot = labels[n] == i - n * classes ? 1 : 0;
    dlogits[i] = static_cast<float>((static_cast<double>(probabilities[i]) - hot) * gradient_scale(*step));
}

// A warp takes an image.
extern "C" __global__ void weighted_softmax_gradient(const float* probabilities, const int32_t* labels,
                                                     const float* class_weight, float* dlogits, int64_t images, int classes,
                                                     Loss a, const StepContext* step) {
    const int64_t n = warp_of_grid();
    if (n >= images) return;
    const float* const p = probabilities + n * classes;
    const int label = labels[n];
    double sum = 0;
    for (int k = lane_of_warp(); k < classes; k += 32)
        sum += a.focal ? (k == label ? 0.0 : static_cast<double>(p[k]))
                       : weight_of(class_weight, k) * smoothed(a, k == label, classes);
    sum = warp_sum(sum);
    const double scale = gradient_scale(*step);
    const double factor =
        a.focal ? -weight_of(class_weight, label) * focal_softmax_factor(a, static_cast<double>(p[label]), sum) : sum;
    for (int k = lane_of_warp(); k < classes; k += 32) {
        const double hot =
            a.focal ? (k == label ? factor : 0.0) : weight_of(class_weight, k) * smoothed(a, k == label, classes);
        dlogits[n * classes + k] = static_cast<float>((factor * static_cast<double>(p[k]) - hot) * scale);
    }
}

// d/dz of -(w t log s + (1-t) log(1-s)) = (1-t) s - w t (1-s)
extern "C" __global__ void bce_gradient(const float* probabilities, const float* targets, const float* pos_weight,
                                        const float* class_weight, float* dlogits, int64_t count, int classes, Loss a,
                                        const StepContext* step) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const double s = probabilities[i], t = targets[i];
    const double weight = pos_weight ? static_cast<double>(pos_weight[i % classes]) : 1.0;
    const double scale = gradient_scale(*step) / classes;
    if (!is_plain(a, class_weight)) {
        const double slope = weight_of(class_weight, i % classes) * binary_slope(a, s, t, weight);
        dlogits[i] = static_cast<float>(slope * scale);
        return;
    }
    const double slope = t < 0 ? 0 : (1 - t) * s - weight * t * (1 - s);  // below 0: unknown
    dlogits[i] = static_cast<float>(slope * scale);
}
