// What one image, or one label of an image, adds to a weighted, smoothed or focal loss, and its slope; in double. For the
// rows of processors and GPUs; the reference has its own. Formulas: core/ops.h (Loss).
#pragma once

#include <cstdint>

#include "core/host_device.h"
#include "core/ops.h"

namespace xbench {

#ifdef __CUDACC__
#define XB_LOSS_MATH(function) ::function
#else
#define XB_LOSS_MATH(function) __builtin_##function
#endif

// Neither weights nor anything of Loss: the plain losses, whose code is the shorter one.
XB_HOST_DEVICE static inline bool is_plain(const Loss& a, const float* class_weight) {
    return class_weight == nullptr && a.smoothing == 0 && !a.focal;
}

XB_HOST_DEVICE static inline double weight_of(const float* class_weight, int64_t k) {
    return class_weight != nullptr ? static_cast<double>(class_weight[k]) : 1.0;
}

// A class whose share is nothing adds nothing, even where its loss is infinite.
XB_HOST_DEVICE static inline double share_of_loss(double share, double loss) { return share != 0 ? share * loss : 0.0; }

// q_k of softmax.
XB_HOST_DEVICE static inline double smoothed(const Loss& a, bool hot, int64_t classes) {
    const double e = static_cast<double>(a.smoothing);
    return (hot ? 1 - e : 0.0) + e / static_cast<double>(classes);
}

// x^gamma, 0^0 being 1. By functions that a GPU has inline, which pow is not.
XB_HOST_DEVICE static inline double to_gamma(double x, double gamma) {
    return gamma == 0 ? 1.0 : XB_LOSS_MATH(exp)(gamma * XB_LOSS_MATH(log)(x));
}

// Of softmax: (1-p)^gamma * -log p, from -log p.
XB_HOST_DEVICE static inline double focal_softmax(const Loss& a, double minus_log) {
    return to_gamma(-XB_LOSS_MATH(expm1)(-minus_log), static_cast<double>(a.gamma)) * minus_log;
}

// Its slope by the label's logit is factor (1 - p), by another class' factor -p_k; from p and the others' sum, 1 - p.
XB_HOST_DEVICE static inline double focal_softmax_factor(const Loss& a, double p, double others) {
    const double gamma = static_cast<double>(a.gamma);
    double factor = -to_gamma(others, gamma);
    if (p > 0 && others > 0 && gamma > 0) {
        const double log_p = p > 0.5 ? XB_LOSS_MATH(log1p)(-others) : XB_LOSS_MATH(log)(p);
        factor += gamma * p * to_gamma(others, gamma - 1) * log_p;
    }
    return factor;
}

// Of one of several labels: logit and target, which may lie between 0 and 1, or below 0 where nobody knows it.
XB_HOST_DEVICE static inline double binary_loss(const Loss& a, double z, double target, double pos_weight) {
    if (target < 0) return 0;
    const double e = static_cast<double>(a.smoothing), t = (1 - e) * target + e / 2;
    const double exponential = XB_LOSS_MATH(exp)(z < 0 ? z : -z);
    const double softplus = XB_LOSS_MATH(log1p)(exponential) + (z < 0 ? -z : 0.0);  // of -z
    const double loss = (1 - t) * z + (1 + (pos_weight - 1) * t) * softplus;
    if (!a.focal) return loss;
    const double s = (z < 0 ? exponential : 1.0) / (1 + exponential),
                 other = (z < 0 ? 1.0 : exponential) / (1 + exponential);
    const double alpha = static_cast<double>(a.alpha), wrong = s * (1 - t) + other * t;
    return (alpha * t + (1 - alpha) * (1 - t)) * to_gamma(wrong, static_cast<double>(a.gamma)) * loss;
}

// Its slope by the logit, from s(z).
XB_HOST_DEVICE static inline double binary_slope(const Loss& a, double s, double target, double pos_weight) {
    if (target < 0) return 0;
    const double e = static_cast<double>(a.smoothing), t = (1 - e) * target + e / 2;
    if (!a.focal) return (1 - t) * s - pos_weight * t * (1 - s);
    const double alpha = static_cast<double>(a.alpha), gamma = static_cast<double>(a.gamma);
    const double other = 1 - s, wrong = s * (1 - t) + other * t;
    double slope = to_gamma(wrong, gamma) * (s - t);
    if (s > 0 && other > 0 && gamma > 0) {
        const double loss = -t * XB_LOSS_MATH(log)(s) - (1 - t) * XB_LOSS_MATH(log)(other);
        slope -= gamma * to_gamma(wrong, gamma - 1) * (2 * t - 1) * s * other * loss;
    }
    return (alpha * t + (1 - alpha) * (1 - t)) * slope;
}

}  // namespace xbench
