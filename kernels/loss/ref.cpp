// The losses and their gradients, f32 and f64, computed in double. The oracle of the other implementations; the threads
// share the images' probabilities, and the first one adds up the loss.
//   softmax  the largest logit is subtracted first, so no exponential overflows: loss = log(sum exp(z - max)) - (z_label -
//   max) bce      loss = (1-t) z + (1 + (pos_weight-1) t) log(1 + exp(-z)), where log(1 + exp(-z)) = log1p(exp(-|z|)) +
//   max(-z, 0)
#include <algorithm>
#include <cmath>

#include "kernels/reference.h"

namespace xbench {
namespace {

double gradient_scale(const StepContext& step) {
    return step.loss_scale ? step.inverse_batch * static_cast<double>(*step.loss_scale) : step.inverse_batch;
}

template <class T>
struct SoftmaxRow {
    double largest = -INFINITY, sum = 0;
    SoftmaxRow(const RefTensor<T>& logits, int64_t n) {
        for (int64_t k = 0; k < logits.c(); ++k) largest = std::max(largest, static_cast<double>(logits.at(n, k)));
        for (int64_t k = 0; k < logits.c(); ++k) sum += std::exp(static_cast<double>(logits.at(n, k)) - largest);
    }
};

template <class T>
void softmax(const KernelArgs& args, const Team& team) {
    const RefTensor<T> logits(args.in[0]), probabilities(args.out[1]);
    const auto* labels = static_cast<const int32_t*>(args.in[1].data);
    for (auto [n, end] = share(logits.n(), team); n < end; ++n) {
        const SoftmaxRow<T> row(logits, n);
        for (int64_t k = 0; k < logits.c(); ++k)
            probabilities.at(n, k) = static_cast<T>(std::exp(static_cast<double>(logits.at(n, k)) - row.largest) / row.sum);
    }
    if (team.rank != 0) return;
    *static_cast<double*>(args.out[0].data) = sum_over_leaves<double>(*args.step, [&](int64_t first, int64_t last) {
        double loss = 0;
        for (int64_t n = first; n < last; ++n) {
            const SoftmaxRow<T> row(logits, n);
            loss += std::log(row.sum) - (static_cast<double>(logits.at(n, labels[n])) - row.largest);
        }
        return loss;
    });
}

template <class T>
void softmax_grad(const KernelArgs& args, const Team& team) {
    const RefTensor<T> probabilities(args.in[0]), dlogits(args.out[0]);
    const auto* labels = static_cast<const int32_t*>(args.in[1].data);
    for (auto [n, end] = share(dlogits.n(), team); n < end; ++n)
        for (int64_t k = 0; k < dlogits.c(); ++k)
            dlogits.at(n, k) = static_cast<T>((static_cast<double>(probabilities.at(n, k)) - (labels[n] == k ? 1 : 0)) *
                                              gradient_scale(*args.step));
}

double log1p_exp_negative(double z) { return std::log1p(std::exp(-std::fabs(z))) + std::fmax(-z, 0.0); }

double sigmoid(double z) {
    const double e = std::exp(-std::fabs(z));
    return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

template <class T>
void bce(const KernelArgs& args, const Team& team) {
    const RefTensor<T> logits(args.in[0]), targets(args.in[1]), pos_weight(args.in, args.n_in, 2),
        probabilities(args.out[1]);
    for (auto [n, end] = share(logits.n(), team); n < end; ++n)
        for (int64_t k = 0; k < logits.c(); ++k)
            probabilities.at(n, k) = static_cast<T>(sigmoid(static_cast<double>(logits.at(n, k))));
    if (team.rank != 0) return;
    *static_cast<double*>(args.out[0].data) = sum_over_leaves<double>(*args.step, [&](int64_t first, int64_t last) {
        double loss = 0;
        for (int64_t n = first; n < last; ++n) {
            double image = 0;
            for (int64_t k = 0; k < logits.c(); ++k) {
                const double z = static_cast<double>(logits.at(n, k)), t = static_cast<double>(targets.at(n, k));
                const double weight = pos_weight.present() ? static_cast<double>(pos_weight.at(k)) : 1;
                image += (1 - t) * z + (1 + (weight - 1) * t) * log1p_exp_negative(z);
            }
            loss += image / static_cast<double>(logits.c());
        }
        return loss;
    });
}

// d/dz of -(w t log s + (1-t) log(1-s)) = (1-t) s - w t (1-s)
template <class T>
void bce_grad(const KernelArgs& args, const Team& team) {
    const RefTensor<T> probabilities(args.in[0]), targets(args.in[1]), pos_weight(args.in, args.n_in, 2),
        dlogits(args.out[0]);
    const double scale = gradient_scale(*args.step) / static_cast<double>(dlogits.c());
    for (auto [n, end] = share(dlogits.n(), team); n < end; ++n)
        for (int64_t k = 0; k < dlogits.c(); ++k) {
            const double s = static_cast<double>(probabilities.at(n, k)), t = static_cast<double>(targets.at(n, k));
            const double weight = pos_weight.present() ? static_cast<double>(pos_weight.at(k)) : 1;
            dlogits.at(n, k) = static_cast<T>(((1 - t) * s - weight * t * (1 - s)) * scale);
        }
}

}  // namespace

XB_RUN(softmax_cross_entropy, softmax, in[0])
XB_RUN(softmax_cross_entropy_grad, softmax_grad, in[0])
XB_RUN(bce_with_logits, bce, in[0])
XB_RUN(bce_with_logits_grad, bce_grad, in[0])

}  // namespace xbench
