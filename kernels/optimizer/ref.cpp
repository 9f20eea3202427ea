// Adam, AdamW and SGD over flat parameters, f32 and f64, computed in double and rounded once. The oracle of the other
// implementations; the threads share the elements. Operands (core/ops.h): in g; out p, m, v, read and written. With them
// the state of dynamic loss scaling, which the first thread changes.
#include <algorithm>
#include <cmath>

#include "kernels/reference.h"

namespace xbench {
namespace {

const Optimizer& attributes(const KernelArgs& args) { return *static_cast<const Optimizer*>(args.attrs); }

// Rounded like every kernel's: what is clipped is an f32 gradient.
double scaled(float gradient, const Optimizer& a) { return static_cast<double>(gradient * a.gradient_scale); }
double scaled(double gradient, const Optimizer& a) { return gradient * static_cast<double>(a.gradient_scale); }

// What an update makes of the gradients where the loss was scaled.
struct Unscaling {
    bool skip = false;
    double inverse = 1;
    uint32_t update;  // t
    template <class T>
    Unscaling(const KernelArgs& args, const RefTensor<T>& scaling) : update(args.step->update) {
        if (!scaling.present()) return;
        skip = static_cast<double>(scaling.at(scaling_overflow)) != 0;
        inverse = 1 / static_cast<double>(scaling.at(scaling_scale));
        update -= static_cast<uint32_t>(scaling.at(scaling_skipped));
    }
};

template <class T>
void adam(const KernelArgs& args, const Team& team) {
    const Optimizer& a = attributes(args);
    const RefTensor<T> gradient(args.in[0]), parameter(args.out[0]), first(args.out[1]), second(args.out[2]);
    const Unscaling of(args, RefTensor<T>(args.in, args.n_in, 1));
    if (of.skip) return;
    const double rate = static_cast<double>(args.step->learning_rate), decay = static_cast<double>(a.weight_decay);
    const double beta1 = static_cast<double>(a.beta1), beta2 = static_cast<double>(a.beta2);
    const double correction1 = 1 - std::pow(beta1, of.update);
    const double correction2 = 1 - std::pow(beta2, of.update);
    for (auto [i, end] = share(parameter.n(), team); i < end; ++i) {
        double p = static_cast<double>(parameter.at(i)), g = scaled(gradient.at(i), a) * of.inverse;
        if (a.decoupled) {
            p -= rate * decay * p;
        } else {
            g += decay * p;
        }
        const double m = beta1 * static_cast<double>(first.at(i)) + (1 - beta1) * g;
        const double v = beta2 * static_cast<double>(second.at(i)) + (1 - beta2) * g * g;
        p -= rate / correction1 * m / (std::sqrt(v) / std::sqrt(correction2) + static_cast<double>(a.eps));
        parameter.at(i) = static_cast<T>(p);
        first.at(i) = static_cast<T>(m);
        second.at(i) = static_cast<T>(v);
    }
}

template <class T>
void sgd(const KernelArgs& args, const Team& team) {
    const Optimizer& a = attributes(args);
    const RefTensor<T> gradient(args.in[0]), parameter(args.out[0]), momentum(args.out[1]);
    const Unscaling of(args, RefTensor<T>(args.in, args.n_in, 1));
    if (of.skip) return;
    const double rate = static_cast<double>(args.step->learning_rate), mu = static_cast<double>(a.momentum);
    for (auto [i, end] = share(parameter.n(), team); i < end; ++i) {
        const double p = static_cast<double>(parameter.at(i));
        const double g = scaled(gradient.at(i), a) * of.inverse + static_cast<double>(a.weight_decay) * p;
        const double m = of.update == 1 ? g : mu * static_cast<double>(momentum.at(i)) + g;
        parameter.at(i) = static_cast<T>(p - rate * (a.nesterov ? g + mu * m : m));
        momentum.at(i) = static_cast<T>(m);
    }
}

// The fixed order: pairs 8 apart, then 4, 2 and 1. A square of an f32 is exact in double.
template <class T>
void square_sums(const KernelArgs& args, const Team& team) {
    const RefTensor<T> gradient(args.in[0]);
    auto* const sums = static_cast<double*>(args.out[0].data);
    for (auto [line, end] = share(args.out[0].dim[0], team); line < end; ++line) {
        double lane[16] = {};
        for (int64_t i = 16 * line; i < std::min(16 * line + 16, gradient.n()); ++i)
            lane[i % 16] = static_cast<double>(gradient.at(i)) * static_cast<double>(gradient.at(i));
        for (int half = 8; half > 0; half /= 2)
            for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
        sums[line] = lane[0];
    }
}

template <class T>
void average_weights(const KernelArgs& args, const Team& team) {
    const RefTensor<T> parameter(args.in[0]), average(args.out[0]);
    if (Unscaling(args, RefTensor<T>(args.in, args.n_in, 1)).skip) return;
    const auto decay = static_cast<double>(attributes(args).average_decay);
    for (auto [i, end] = share(average.n(), team); i < end; ++i)
        average.at(i) =
            static_cast<T>(decay * static_cast<double>(average.at(i)) + (1 - decay) * static_cast<double>(parameter.at(i)));
}

template <class T>
void find_overflow(const KernelArgs& args, const Team& team) {
    const RefTensor<T> gradient(args.in[0]), scaling(args.out[0]);
    if (team.rank != 0) return;
    for (int64_t i = 0; i < gradient.n(); ++i)
        if (!std::isfinite(gradient.at(i))) scaling.at(scaling_overflow) = 1;
}

template <class T>
void update_loss_scale(const KernelArgs& args, const Team& team) {
    const auto& a = *static_cast<const LossScaling*>(args.attrs);
    const RefTensor<T> scaling(args.out[0]);
    if (team.rank != 0) return;
    T &scale = scaling.at(scaling_scale), &good = scaling.at(scaling_good);
    if (scaling.at(scaling_overflow) != T{0}) {
        scale *= static_cast<T>(a.backoff);
        scaling.at(scaling_skipped) += T{1};
        good = 0;
    } else if (++good >= static_cast<T>(a.growth_interval)) {
        scale *= static_cast<T>(a.growth);
        good = 0;
    }
    scaling.at(scaling_overflow) = 0;
}

}  // namespace

XB_RUN(adam, adam, in[0])
XB_RUN(sgd, sgd, in[0])
XB_RUN(square_sums, square_sums, in[0])
XB_RUN(average_weights, average_weights, in[0])
XB_RUN(find_overflow, find_overflow, in[0])
XB_RUN(update_loss_scale, update_loss_scale, in[0])

}  // namespace xbench
