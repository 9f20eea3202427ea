// gelu and gelu_grad as plain loops, f32 and f64, all layouts, in double inside: the oracle.
#include "kernels/reference.h"

namespace xbench {
namespace {

double distribution(double x) { return 0.5 * std::erfc(-x * std::sqrt(0.5)); }
double density(double x) { return std::exp(-0.5 * x * x) * 0.3989422804014327; }  // 1 / sqrt(2 pi)

template <class T>
void forward(const KernelArgs& args, const Team& team) {
    map<T>(args, team, [](double x) { return x * distribution(x); });
}

template <class T>
void grad(const KernelArgs& args, const Team& team) {
    map_grad<T>(args, team, [](double x) { return distribution(x) + x * density(x); });
}

}  // namespace

XB_RUN(gelu, forward, in[0])
XB_RUN(gelu_grad, grad, in[0])

}  // namespace xbench
