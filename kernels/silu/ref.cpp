// silu and silu_grad as plain loops, f32 and f64, all layouts, in double inside: the oracle.
#include "kernels/reference.h"

namespace xbench {
namespace {

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

template <class T>
void forward(const KernelArgs& args, const Team& team) {
    const RefTensor<T> x(args.in[0]);
    fill(RefTensor<T>(args.out[0]), team, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        const auto value = static_cast<double>(x.at(n, c, h, w));
        return static_cast<T>(value * logistic(value));
    });
}

template <class T>
void grad(const KernelArgs& args, const Team& team) {
    const RefTensor<T> dy(args.in[0]), x(args.in[1]);
    fill(RefTensor<T>(args.out[0]), team, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        const auto value = static_cast<double>(x.at(n, c, h, w));
        const double slope = logistic(value) * (1 + value * logistic(-value));
        return static_cast<T>(static_cast<double>(dy.at(n, c, h, w)) * slope);
    });
}

}  // namespace

XB_RUN(silu, forward, in[0])
XB_RUN(silu_grad, grad, in[0])

}  // namespace xbench
