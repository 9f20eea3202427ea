// The fully connected layer and its two gradients as plain loops, f32 and f64, sums in double. The oracle of the other
// implementations; the threads share outputs.
#include "kernels/reference.h"

namespace xbench {
namespace {

template <class T>
void forward(const KernelArgs& args, const Team& team) {
    const Factor factor(args);
    const bool relu = static_cast<const Linear*>(args.attrs)->activation == Activation::relu;
    const RefTensor<T> x(args.in[0]), w(args.in[1]), b(args.in, args.n_in, 2), y(args.out[0]);
    for (auto [task, end] = share(y.n() * y.c(), team); task < end; ++task) {
        const int64_t n = task / y.c(), k = task % y.c();
        double value = 0;
        for (int64_t f = 0; f < w.c(); ++f) value += factor(x.at(n, f)) * factor(w.at(k, f));
        if (b.present()) value += static_cast<double>(b.at(k));
        y.at(n, k) = static_cast<T>(relu && value < 0 ? 0 : value);
    }
    y.clear_padding(team);
}

template <class T>
void dgrad(const KernelArgs& args, const Team& team) {
    const Factor factor(args);
    const RefTensor<T> dy(args.in[0]), w(args.in[1]), dx(args.out[0]);
    for (auto [task, end] = share(dx.n() * dx.c(), team); task < end; ++task) {
        const int64_t n = task / dx.c(), f = task % dx.c();
        double sum = 0;
        for (int64_t k = 0; k < w.n(); ++k) sum += factor(dy.at(n, k)) * factor(w.at(k, f));
        dx.at(n, f) = static_cast<T>(sum);
    }
    dx.clear_padding(team);
}

template <class T>
void wgrad(const KernelArgs& args, const Team& team) {
    const Factor factor(args);
    const RefTensor<T> x(args.in[0]), dy(args.in[1]), dw(args.out[0]), db(args.out, args.n_out, 1);
    for (auto [row, end] = share(dw.n(), team); row < end; ++row) {
        const int64_t k = row;
        for (int64_t f = 0; f < dw.c(); ++f)
            dw.at(k, f) = sum_over_leaves<T>(*args.step, [&](int64_t first, int64_t last) {
                double sum = 0;
                for (int64_t n = first; n < last; ++n) sum += factor(dy.at(n, k)) * factor(x.at(n, f));
                return sum;
            });
        if (!db.present()) continue;
        db.at(k) = sum_over_leaves<T>(*args.step, [&](int64_t first, int64_t last) {
            double sum = 0;
            for (int64_t n = first; n < last; ++n) sum += factor(dy.at(n, k));
            return sum;
        });
    }
}

}  // namespace

XB_RUN(linear, forward, in[0])
XB_RUN(linear_dgrad, dgrad, in[0])
XB_RUN(linear_wgrad, wgrad, in[0])

}  // namespace xbench
