// Batch normalisation, ReLU and max-pooling as one, and its backward passes, as plain loops: f32 and f64, all layouts, sums
// in double. The oracle of the optimised versions; tests/plan holds it against the unfused operators.
#include <cmath>

#include "kernels/dropout/keep.h"
#include "kernels/reference.h"

namespace xbench {
namespace {

const BatchNormPool& attributes(const KernelArgs& args) { return *static_cast<const BatchNormPool*>(args.attrs); }
bool relu(const KernelArgs& args) { return attributes(args).norm.activation == Activation::relu; }

template <class T>
void apply(const KernelArgs& args, const Team& team) {
    const BatchNormPool& a = attributes(args);
    const RefTensor<T> x(args.in[0]), mean_rstd(args.in[1]), gamma(args.in[2]), beta(args.in[3]), y(args.out[0]),
        xhat(args.out, args.n_out, 2);  // xhat and index are absent in inference
    const RefTensor<uint8_t> index(args.out, args.n_out, 1);
    const Keep keep(a.dropout, *args.step, y.h(), y.w());
    for (auto [n, end] = share(y.n(), team); n < end; ++n)
        for (int64_t c = 0; c < y.c(); ++c) {
            const double mean = static_cast<double>(mean_rstd.at(0, c)), rstd = static_cast<double>(mean_rstd.at(1, c));
            const double gamma_c = static_cast<double>(gamma.at(c)), beta_c = static_cast<double>(beta.at(c));
            for (int64_t p = 0; p < y.h(); ++p)
                for (int64_t q = 0; q < y.w(); ++q) {
                    double best = 0, best_xhat = 0;
                    int best_place = -1;
                    for (int i = 0; i < a.r; ++i)
                        for (int j = 0; j < a.s; ++j) {
                            const double normalised =
                                (static_cast<double>(x.at(n, c, p * a.r + i, q * a.s + j)) - mean) * rstd;
                            const double value = normalised * gamma_c + beta_c;
                            if (best_place >= 0 && !(value > best)) continue;
                            best = value;
                            best_xhat = normalised;
                            best_place = i * a.s + j;
                        }
                    const bool kept = keep(n, c, p, q), closed = !kept || (relu(args) && !(best > 0));
                    const double value = relu(args) && best < 0 ? 0 : best;
                    y.at(n, c, p, q) = static_cast<T>(kept ? value * static_cast<double>(keep.scale()) : 0);
                    if (!xhat.present()) continue;
                    xhat.at(n, c, p, q) = static_cast<T>(best_xhat);
                    index.at(n, c, p, q) = static_cast<uint8_t>(closed ? closed_window : best_place);
                }
        }
    y.clear_padding(team);
    xhat.clear_padding(team);
    index.clear_padding(team);
}

template <class T>
void grad_statistics(const KernelArgs& args, const Team& team) {
    const RefTensor<T> xhat(args.in[0]), dy(args.in[1]);
    const RefTensor<uint8_t> index(args.in, args.n_in, 2);
    const double scale = static_cast<double>(Keep(attributes(args).dropout, *args.step, xhat.h(), xhat.w()).scale());
    auto* sums = static_cast<double*>(args.out[0].data);
    for (auto [c, end] = share(xhat.c(), team); c < end; ++c)
        for (int which = 0; which < 2; ++which)
            sums[which * xhat.c() + c] = sum_over_leaves<double>(*args.step, [&, channel = c](int64_t first, int64_t last) {
                double sum = 0;
                for (int64_t n = first; n < last; ++n)
                    for (int64_t p = 0; p < xhat.h(); ++p)
                        for (int64_t q = 0; q < xhat.w(); ++q) {
                            if (index.present() && index.at(n, channel, p, q) == closed_window) continue;
                            const double d = static_cast<double>(dy.at(n, channel, p, q)) * scale;
                            sum += which == 0 ? d : d * static_cast<double>(xhat.at(n, channel, p, q));
                        }
                return sum;
            });
}

template <class T>
void grad_input(const KernelArgs& args, const Team& team) {
    const BatchNormPool& a = attributes(args);
    const RefTensor<T> x(args.in[0]), dy(args.in[1]), mean_rstd(args.in[3]), gamma(args.in[4]), dx(args.out[0]);
    const RefTensor<uint8_t> index(args.in[2]);
    const auto* sums = static_cast<const double*>(args.in[5].data);
    const double count = static_cast<double>(args.step->global_batch) * static_cast<double>(a.norm.pixels);
    const double scale = static_cast<double>(Keep(a.dropout, *args.step, dy.h(), dy.w()).scale());
    for (auto [n, end] = share(x.n(), team); n < end; ++n)
        for (int64_t c = 0; c < x.c(); ++c) {
            const double mean = static_cast<double>(mean_rstd.at(0, c)), rstd = static_cast<double>(mean_rstd.at(1, c));
            const double mean_dy = sums[c] / count, mean_dy_xhat = sums[x.c() + c] / count;
            for (int64_t h = 0; h < x.h(); ++h)
                for (int64_t w = 0; w < x.w(); ++w) {
                    const int64_t p = h / a.r, q = w / a.s;
                    const double value = static_cast<double>(x.at(n, c, h, w));
                    const bool in_window = p < dy.h() && q < dy.w();  // odd sizes leave a rim that no window covers
                    const bool chosen = in_window && index.at(n, c, p, q) == (h - p * a.r) * a.s + w - q * a.s;
                    const double d = chosen ? static_cast<double>(dy.at(n, c, p, q)) * scale : 0;
                    const double g =
                        static_cast<double>(gamma.at(c)) * rstd * (d - mean_dy - (value - mean) * rstd * mean_dy_xhat);
                    const bool closed = a.norm.input_activation == Activation::relu && !(value > 0);
                    dx.at(n, c, h, w) = static_cast<T>(closed ? 0 : g);
                }
        }
    dx.clear_padding(team);
}

}  // namespace

XB_RUN(batchnorm_pool_apply, apply, in[0])
XB_RUN(batchnorm_pool_grad_statistics, grad_statistics, in[0])
XB_RUN(batchnorm_pool_grad_input, grad_input, in[0])

}  // namespace xbench
