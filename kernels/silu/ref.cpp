// silu and silu_grad as plain loops, f32 and f64, all layouts, in double inside: the oracle.
#include "kernels/reference.h"

namespace xbench {
namespace {

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

template <class T>
void forward(const KernelArgs& args, const Team& team) {
    map<T>(args, team, [](double x) { return x * logistic(x); });
}

template <class T>
void grad(const KernelArgs& args, const Team& team) {
    map_grad<T>(args, team, [](double x) { return logistic(x) * (1 + x * logistic(-x)); });
}

}  // namespace

XB_RUN(silu, forward, in[0])
XB_RUN(silu_grad, grad, in[0])

}  // namespace xbench
