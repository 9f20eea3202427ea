// Adam, AdamW and SGD over flat parameters, f32 and f64, computed in double and rounded once. The oracle of the other
// implementations; the threads share the elements. Operands (core/ops.h): in g; out p, m, v, read and written.
#include <cmath>

#include "kernels/reference.h"

namespace xbench {
namespace {

const Optimizer& attributes(const KernelArgs& args) { return *static_cast<const Optimizer*>(args.attrs); }

template <class T>
void adam(const KernelArgs& args, const Team& team) {
    const Optimizer& a = attributes(args);
    const RefTensor<T> gradient(args.in[0]), parameter(args.out[0]), first(args.out[1]), second(args.out[2]);
    const double rate = static_cast<double>(args.step->learning_rate), decay = static_cast<double>(a.weight_decay);
    const double beta1 = static_cast<double>(a.beta1), beta2 = static_cast<double>(a.beta2);
    const double correction1 = 1 - std::pow(beta1, args.step->update);
    const double correction2 = 1 - std::pow(beta2, args.step->update);
    for (auto [i, end] = share(parameter.n(), team); i < end; ++i) {
        double p = static_cast<double>(parameter.at(i)), g = static_cast<double>(gradient.at(i));
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
    const double rate = static_cast<double>(args.step->learning_rate), mu = static_cast<double>(a.momentum);
    for (auto [i, end] = share(parameter.n(), team); i < end; ++i) {
        const double p = static_cast<double>(parameter.at(i));
        const double g = static_cast<double>(gradient.at(i)) + static_cast<double>(a.weight_decay) * p;
        const double m = args.step->update == 1 ? g : mu * static_cast<double>(momentum.at(i)) + g;
        parameter.at(i) = static_cast<T>(p - rate * (a.nesterov ? g + mu * m : m));
        momentum.at(i) = static_cast<T>(m);
    }
}

}  // namespace

XB_RUN(adam, adam, in[0])
XB_RUN(sgd, sgd, in[0])

}  // namespace xbench
