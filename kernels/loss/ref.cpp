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

const Loss& attributes(const KernelArgs& args) { return *static_cast<const Loss*>(args.attrs); }

// Weights and smoothed labels of one image: w_k q_k.
template <class T>
struct WeightedLabels {
    WeightedLabels(const KernelArgs& args, int64_t classes, int32_t hot)
        : a(attributes(args)), weight(args.in, args.n_in, 2), count(static_cast<double>(classes)), label(hot) {}
    double w(int64_t k) const { return weight.present() ? static_cast<double>(weight.at(k)) : 1; }
    double at(int64_t k) const {
        const double e = static_cast<double>(a.smoothing);
        return w(k) * ((k == label ? 1 - e : 0) + e / count);
    }
    const Loss& a;
    const RefTensor<T> weight;
    const double count;
    const int32_t label;
};

template <class T>
double softmax_loss(const KernelArgs& args, const RefTensor<T>& logits, int64_t n, int32_t label) {
    const SoftmaxRow<T> row(logits, n);
    const WeightedLabels<T> labels(args, logits.c(), label);
    const auto minus_log = [&](int64_t k) {
        return std::log(row.sum) - (static_cast<double>(logits.at(n, k)) - row.largest);
    };
    if (labels.a.focal)
        return labels.w(label) * std::pow(1 - std::exp(-minus_log(label)), static_cast<double>(labels.a.gamma)) *
               minus_log(label);
    double loss = 0;
    for (int64_t k = 0; k < logits.c(); ++k)
        if (const double weight = labels.at(k); weight != 0) loss += weight * minus_log(k);
    return loss;
}

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
        for (int64_t n = first; n < last; ++n) loss += softmax_loss(args, logits, n, labels[n]);
        return loss;
    });
}

template <class T>
void softmax_grad(const KernelArgs& args, const Team& team) {
    const RefTensor<T> probabilities(args.in[0]), dlogits(args.out[0]);
    const auto* labels = static_cast<const int32_t*>(args.in[1].data);
    for (auto [n, end] = share(dlogits.n(), team); n < end; ++n) {
        const WeightedLabels<T> label(args, dlogits.c(), labels[n]);
        double sum = 0, others = 0;
        for (int64_t k = 0; k < dlogits.c(); ++k) {
            sum += label.at(k);
            if (k != labels[n]) others += static_cast<double>(probabilities.at(n, k));
        }
        const double gamma = static_cast<double>(label.a.gamma), p = static_cast<double>(probabilities.at(n, labels[n]));
        // d/dp of -(1-p)^gamma log p, times p: what each slope has in common.
        double by_p = -std::pow(others, gamma);
        if (p > 0 && others > 0)
            by_p += gamma * p * std::pow(others, gamma - 1) * (p > 0.5 ? std::log1p(-others) : std::log(p));
        for (int64_t k = 0; k < dlogits.c(); ++k) {
            const double q = static_cast<double>(probabilities.at(n, k));
            const double slope =
                label.a.focal ? label.w(labels[n]) * by_p * ((k == labels[n] ? 1 : 0) - q) : sum * q - label.at(k);
            dlogits.at(n, k) = static_cast<T>(slope * gradient_scale(*args.step));
        }
    }
}

double log1p_exp_negative(double z) { return std::log1p(std::exp(-std::fabs(z))) + std::fmax(-z, 0.0); }

double sigmoid(double z) {
    const double e = std::exp(-std::fabs(z));
    return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

// One of several labels: the loss and its slope, of the logit, or of s(z) where only that is known.
struct BinaryLabel {
    const Loss& a;
    double target, pos_weight, class_weight;
    double t() const { return (1 - static_cast<double>(a.smoothing)) * target + static_cast<double>(a.smoothing) / 2; }
    double alpha() const { return static_cast<double>(a.alpha) * t() + (1 - static_cast<double>(a.alpha)) * (1 - t()); }
    double loss(double z) const {
        const double plain = (1 - t()) * z + (1 + (pos_weight - 1) * t()) * log1p_exp_negative(z);
        if (!a.focal) return class_weight * plain;
        const double wrong = sigmoid(z) * (1 - t()) + sigmoid(-z) * t();
        return class_weight * alpha() * std::pow(wrong, static_cast<double>(a.gamma)) * plain;
    }
    double slope(double s) const {
        if (!a.focal) return class_weight * ((1 - t()) * s - pos_weight * t() * (1 - s));
        const double gamma = static_cast<double>(a.gamma), wrong = s * (1 - t()) + (1 - s) * t();
        double slope = std::pow(wrong, gamma) * (s - t());
        if (s > 0 && s < 1)
            slope -= gamma * std::pow(wrong, gamma - 1) * (2 * t() - 1) * s * (1 - s) *
                     (-t() * std::log(s) - (1 - t()) * std::log(1 - s));
        return class_weight * alpha() * slope;
    }
};

template <class T>
BinaryLabel label_of(const KernelArgs& args, const RefTensor<T>& targets, int64_t n, int64_t k) {
    const RefTensor<T> pos_weight(args.in, args.n_in, 2), class_weight(args.in, args.n_in, 3);
    const auto of_class = [k](const RefTensor<T>& weight) {
        return weight.present() ? static_cast<double>(weight.at(k)) : 1.0;
    };
    return {attributes(args), static_cast<double>(targets.at(n, k)), of_class(pos_weight), of_class(class_weight)};
}

template <class T>
void bce(const KernelArgs& args, const Team& team) {
    const RefTensor<T> logits(args.in[0]), targets(args.in[1]), probabilities(args.out[1]);
    for (auto [n, end] = share(logits.n(), team); n < end; ++n)
        for (int64_t k = 0; k < logits.c(); ++k)
            probabilities.at(n, k) = static_cast<T>(sigmoid(static_cast<double>(logits.at(n, k))));
    if (team.rank != 0) return;
    *static_cast<double*>(args.out[0].data) = sum_over_leaves<double>(*args.step, [&](int64_t first, int64_t last) {
        double loss = 0;
        for (int64_t n = first; n < last; ++n) {
            double image = 0;
            for (int64_t k = 0; k < logits.c(); ++k) {
                const BinaryLabel label = label_of(args, targets, n, k);
                if (label.target < 0) continue;  // nobody knows it
                image += label.loss(static_cast<double>(logits.at(n, k)));
            }
            loss += image / static_cast<double>(logits.c());
        }
        return loss;
    });
}

// d/dz of -(w t log s + (1-t) log(1-s)) = (1-t) s - w t (1-s)
template <class T>
void bce_grad(const KernelArgs& args, const Team& team) {
    const RefTensor<T> probabilities(args.in[0]), targets(args.in[1]), dlogits(args.out[0]);
    const double scale = gradient_scale(*args.step) / static_cast<double>(dlogits.c());
    for (auto [n, end] = share(dlogits.n(), team); n < end; ++n)
        for (int64_t k = 0; k < dlogits.c(); ++k) {
            const BinaryLabel label = label_of(args, targets, n, k);
            const double slope = label.target < 0 ? 0 : label.slope(static_cast<double>(probabilities.at(n, k)));
            dlogits.at(n, k) = static_cast<T>(slope * scale);
        }
}

}  // namespace

XB_RUN(softmax_cross_entropy, softmax, in[0])
XB_RUN(softmax_cross_entropy_grad, softmax_grad, in[0])
XB_RUN(bce_with_logits, bce, in[0])
XB_RUN(bce_with_logits_grad, bce_grad, in[0])

}  // namespace xbench
