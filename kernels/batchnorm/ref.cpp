// The parts of a batch normalisation (core/ops.h) as plain loops, f32 and f64, all layouts, sums in double. The oracle of
// the other implementations; the threads share the channels of sums and the images of everything else.
#include <cmath>

#include "kernels/reference.h"

namespace xbench {
namespace {

const BatchNorm& attributes(const KernelArgs& args) { return *static_cast<const BatchNorm*>(args.attrs); }

// Pixels of the global batch, over all ranks.
double elements_per_channel(const KernelArgs& args) {
    return static_cast<double>(args.step->global_batch) * static_cast<double>(attributes(args).pixels);
}

// sums[c] and sums[channels + c]: two sums over the batch of what term(n, c, h, w, pair) adds to pair[0] and pair[1].
template <class T, class Term>
void channel_sums(const KernelArgs& args, const Team& team, const RefTensor<T>& x, Term&& term) {
    auto* sums = static_cast<double*>(args.out[0].data);
    for (auto [c, end] = share(x.c(), team); c < end; ++c)
        for (int which = 0; which < 2; ++which)
            sums[which * x.c() + c] = sum_over_leaves<double>(*args.step, [&, channel = c](int64_t first, int64_t last) {
                double pair[2] = {0, 0};
                for (int64_t n = first; n < last; ++n)
                    for (int64_t h = 0; h < x.h(); ++h)
                        for (int64_t w = 0; w < x.w(); ++w) term(n, channel, h, w, pair);
                return pair[which];
            });
}

template <class T>
void statistics(const KernelArgs& args, const Team& team) {
    const RefTensor<T> x(args.in[0]), shift(args.in[1]);
    channel_sums(args, team, x, [&](int64_t n, int64_t c, int64_t h, int64_t w, double* pair) {
        const double d = static_cast<double>(x.at(n, c, h, w)) - static_cast<double>(shift.at(c));
        pair[0] += d;
        pair[1] += d * d;
    });
}

template <class T>
void grad_statistics(const KernelArgs& args, const Team& team) {
    const RefTensor<T> x(args.in[0]), dy(args.in[1]), mean_rstd(args.in[2]), y(args.in, args.n_in, 3);
    channel_sums(args, team, x, [&](int64_t n, int64_t c, int64_t h, int64_t w, double* pair) {
        if (y.present() && !(y.at(n, c, h, w) > 0)) return;
        const double mean = static_cast<double>(mean_rstd.at(0, c)), rstd = static_cast<double>(mean_rstd.at(1, c));
        const double d = static_cast<double>(dy.at(n, c, h, w));
        pair[0] += d;
        pair[1] += d * (static_cast<double>(x.at(n, c, h, w)) - mean) * rstd;
    });
}

// The variance is that of x - K, which is the same as that of x and free of cancellation when K is near the mean.
template <class T>
void finalize(const KernelArgs& args, const Team& team) {
    const auto* sums = static_cast<const double*>(args.in[0].data);
    const RefTensor<T> old_mean(args.in[1]), old_var(args.in[2]), mean_rstd(args.out[0]), new_mean(args.out[1]),
        new_var(args.out[2]);
    const int64_t channels = mean_rstd.c();
    const double count = elements_per_channel(args), momentum = static_cast<double>(attributes(args).momentum);
    for (auto [c, end] = share(channels, team); c < end; ++c) {
        const double shift = static_cast<double>(old_mean.at(c)), offset = sums[c] / count;
        const double mean = shift + offset, var = std::fmax(sums[channels + c] / count - offset * offset, 0.0);
        const double unbiased = count > 1 ? var * count / (count - 1) : var, before = static_cast<double>(old_var.at(c));
        mean_rstd.at(0, c) = static_cast<T>(mean);
        mean_rstd.at(1, c) = static_cast<T>(1 / std::sqrt(var + static_cast<double>(attributes(args).eps)));
        new_mean.at(c) = static_cast<T>(shift + momentum * offset);
        new_var.at(c) = static_cast<T>(before + momentum * (unbiased - before));
    }
}

template <class T>
void inference(const KernelArgs& args, const Team& team) {
    const RefTensor<T> mean(args.in[0]), var(args.in[1]), mean_rstd(args.out[0]);
    for (auto [c, end] = share(mean_rstd.c(), team); c < end; ++c) {
        mean_rstd.at(0, c) = mean.at(c);
        mean_rstd.at(1, c) =
            static_cast<T>(1 / std::sqrt(static_cast<double>(var.at(c)) + static_cast<double>(attributes(args).eps)));
    }
}

template <class T>
void apply(const KernelArgs& args, const Team& team) {
    const RefTensor<T> x(args.in[0]), mean_rstd(args.in[1]), gamma(args.in[2]), beta(args.in[3]), y(args.out[0]);
    const bool relu = attributes(args).activation == Activation::relu;
    for (auto [n, end] = share(x.n(), team); n < end; ++n)
        for (int64_t c = 0; c < x.c(); ++c) {
            const double mean = static_cast<double>(mean_rstd.at(0, c)), beta_c = static_cast<double>(beta.at(c));
            const double scale = static_cast<double>(mean_rstd.at(1, c)) * static_cast<double>(gamma.at(c));
            for (int64_t h = 0; h < x.h(); ++h)
                for (int64_t w = 0; w < x.w(); ++w) {
                    const double value = (static_cast<double>(x.at(n, c, h, w)) - mean) * scale + beta_c;
                    y.at(n, c, h, w) = static_cast<T>(relu && value < 0 ? 0 : value);
                }
        }
    y.clear_padding(team);
}

template <class T>
void grad_parameters(const KernelArgs& args, const Team& team) {
    const auto* sums = static_cast<const double*>(args.in[0].data);
    const RefTensor<T> dgamma(args.out[0]), dbeta(args.out[1]);
    const int64_t channels = dgamma.n();
    const double mine = args.step->later_rank ? 0 : 1;  // these sums are those of all ranks already
    for (auto [c, end] = share(channels, team); c < end; ++c) {
        dgamma.at(c) = static_cast<T>(mine * sums[channels + c]);
        dbeta.at(c) = static_cast<T>(mine * sums[c]);
    }
}

template <class T>
void grad_input(const KernelArgs& args, const Team& team) {
    const RefTensor<T> x(args.in[0]), dy(args.in[1]), mean_rstd(args.in[2]), gamma(args.in[3]), y(args.in, args.n_in, 5),
        dx(args.out[0]);
    const auto* sums = static_cast<const double*>(args.in[4].data);
    const double count = elements_per_channel(args);
    const bool input_relu = attributes(args).input_activation == Activation::relu;
    for (auto [n, end] = share(x.n(), team); n < end; ++n)
        for (int64_t c = 0; c < x.c(); ++c) {
            const double mean = static_cast<double>(mean_rstd.at(0, c)), rstd = static_cast<double>(mean_rstd.at(1, c));
            const double mean_dy = sums[c] / count, mean_dy_xhat = sums[x.c() + c] / count;
            for (int64_t h = 0; h < x.h(); ++h)
                for (int64_t w = 0; w < x.w(); ++w) {
                    const bool open = !y.present() || y.at(n, c, h, w) > 0;
                    const double d = open ? static_cast<double>(dy.at(n, c, h, w)) : 0;
                    const double value = static_cast<double>(x.at(n, c, h, w)), xhat = (value - mean) * rstd;
                    const double result = static_cast<double>(gamma.at(c)) * rstd * (d - mean_dy - xhat * mean_dy_xhat);
                    dx.at(n, c, h, w) = static_cast<T>(input_relu && !(value > 0) ? 0 : result);
                }
        }
    dx.clear_padding(team);
}

}  // namespace

XB_RUN(batchnorm_statistics, statistics, in[0])
XB_RUN(batchnorm_finalize, finalize, out[0])
XB_RUN(batchnorm_inference, inference, in[0])
XB_RUN(batchnorm_apply, apply, in[0])
XB_RUN(batchnorm_grad_statistics, grad_statistics, in[0])
XB_RUN(batchnorm_grad_parameters, grad_parameters, out[0])
XB_RUN(batchnorm_grad_input, grad_input, in[0])

}  // namespace xbench
