// A convolution and the passes beside it as one, as plain loops: f32 and f64, any mixture of layouts, sums in double. The
// oracle of the fused kernels; tests/plan holds it against the unfused operators. The threads share images and channels.
#include "kernels/conv2d/reference_loops.h"
#include "kernels/dropout/keep.h"

namespace xbench {
namespace {

// Output (n, k, p, q) of the convolution with bias and activation, rounded as it would be stored.
template <class T>
class Output {
public:
    Output(const KernelArgs& args, const Conv2d& conv)
        : conv_(conv),
          factor_(args),
          x_(args.in[0]),
          w_(args.in[1]),
          b_(args.in, args.n_in, 2),
          k_per_group_(w_.n() / conv.groups) {}

    T at(int64_t n, int64_t k, int64_t p, int64_t q) const {
        double value = forward_at(conv_, factor_, x_, w_, n, k, k / k_per_group_ * w_.c(), p, q);
        if (b_.present()) value += static_cast<double>(b_.at(k));
        return static_cast<T>(conv_.activation == Activation::relu && value < 0 ? 0 : value);
    }

private:
    const Conv2d& conv_;
    const Factor factor_;
    RefTensor<T> x_, w_, b_;
    int64_t k_per_group_;
};

template <class T>
void statistics(const KernelArgs& args, const Team& team) {
    const Output<T> output(args, *static_cast<const Conv2d*>(args.attrs));
    const RefTensor<T> mean(args.in[3]), y(args.out[0]);
    auto* sums = static_cast<double*>(args.out[1].data);
    for (auto [k, end] = share(y.c(), team); k < end; ++k) {
        for (int64_t n = 0; n < y.n(); ++n)
            for (int64_t p = 0; p < y.h(); ++p)
                for (int64_t q = 0; q < y.w(); ++q) y.at(n, k, p, q) = output.at(n, k, p, q);
        for (int which = 0; which < 2; ++which)
            sums[which * y.c() + k] = sum_over_leaves<double>(*args.step, [&, channel = k](int64_t first, int64_t last) {
                double sum = 0;
                for (int64_t n = first; n < last; ++n)
                    for (int64_t p = 0; p < y.h(); ++p)
                        for (int64_t q = 0; q < y.w(); ++q) {
                            const double d =
                                static_cast<double>(y.at(n, channel, p, q)) - static_cast<double>(mean.at(channel));
                            sum += which == 0 ? d : d * d;
                        }
                return sum;
            });
    }
    y.clear_padding(team);
}

template <class T>
void pool(const KernelArgs& args, const Team& team) {
    const auto& a = *static_cast<const Conv2dPool*>(args.attrs);
    const Output<T> output(args, a.conv);
    const RefTensor<T> y(args.out[0]);
    const RefTensor<uint8_t> index(args.out, args.n_out, 1);
    const bool relu = a.conv.activation == Activation::relu;
    const Keep keep(a.dropout, *args.step, y.h(), y.w());
    for (auto [task, end] = share(y.n() * y.c(), team); task < end; ++task)
        for (int64_t p = 0; p < y.h(); ++p)
            for (int64_t q = 0; q < y.w(); ++q) {
                const int64_t n = task / y.c(), k = task % y.c();
                T best = output.at(n, k, p * a.r, q * a.s);
                int place = 0;
                for (int i = 1; i < a.r * a.s; ++i) {
                    const T value = output.at(n, k, p * a.r + i / a.s, q * a.s + i % a.s);
                    if (value > best) best = value, place = i;
                }
                const bool kept = keep(n, k, p, q);
                y.at(n, k, p, q) = kept ? best * static_cast<T>(keep.scale()) : T{0};
                if (index.present())
                    index.at(n, k, p, q) = static_cast<uint8_t>(!kept || (relu && !(best > 0)) ? closed_window : place);
            }
    y.clear_padding(team);
    if (index.present()) index.clear_padding(team);
}

// dw and db from x and the gradient of the convolution's output, output_gradient(n, k, p, q), for outputs {n, k, p, q}.
template <class T, class Gradient>
void wgrad(const KernelArgs& args, const Conv2d& conv, int64_t height, int64_t width, const Team& team,
           const Gradient& output_gradient) {
    const RefTensor<T> x(args.in[0]), dw(args.out[0]), db(args.out, args.n_out, 1);
    const int64_t filters = conv.r * conv.s, per_output = dw.c() * filters, k_per_group = dw.n() / conv.groups;
    for (auto [task, end] = share(dw.n() * (per_output + 1), team); task < end; ++task) {
        const int64_t k = task / (per_output + 1), position = task % (per_output + 1);
        const bool bias = position == per_output;
        const int64_t c = position / filters, r = position % filters / conv.s, s = position % conv.s;
        const auto input = [&](int64_t n, int64_t p, int64_t q) {
            const int64_t i = input_row(conv, p, r), j = input_column(conv, q, s);
            if (i < 0 || i >= x.h() || j < 0 || j >= x.w()) return 0.0;
            return static_cast<double>(x.at(n, k / k_per_group * dw.c() + c, i, j));
        };
        const T sum = sum_over_leaves<T>(*args.step, [&](int64_t first, int64_t last) {
            double leaf = 0;
            for (int64_t n = first; n < last; ++n)
                for (int64_t p = 0; p < height; ++p)
                    for (int64_t q = 0; q < width; ++q)
                        leaf += (bias ? 1.0 : input(n, p, q)) * static_cast<double>(output_gradient(n, k, p, q));
            return leaf;
        });
        if (!bias) dw.at(k, c, r, s) = sum;
        if (bias && db.present()) db.at(k) = sum;
    }
}

// The pooled dy at an output of the convolution: 0 where another one, or none, is its window's maximum.
template <class T>
double pooled_gradient(const RefTensor<T>& dy, const RefTensor<uint8_t>& index, int32_t r, int32_t s, int64_t n, int64_t k,
                       int64_t p, int64_t q) {
    if (p / r >= dy.h() || q / s >= dy.w()) return 0;
    return index.at(n, k, p / r, q / s) == p % r * s + q % s ? static_cast<double>(dy.at(n, k, p / r, q / s)) : 0;
}

template <class T>
void pool_wgrad(const KernelArgs& args, const Team& team) {
    const auto& a = *static_cast<const Conv2dPool*>(args.attrs);
    const RefTensor<T> dy(args.in[1]);
    const RefTensor<uint8_t> index(args.in[2]);
    wgrad<T>(args, a.conv, dy.h() * a.r, dy.w() * a.s, team, [&](int64_t n, int64_t k, int64_t p, int64_t q) {
        return static_cast<T>(pooled_gradient(dy, index, a.r, a.s, n, k, p, q));
    });
}

template <class T>
void batchnorm_pool_wgrad(const KernelArgs& args, const Team& team) {
    const auto& a = *static_cast<const Conv2dBatchNormPool*>(args.attrs);
    const RefTensor<T> y(args.in[1]), dy(args.in[2]), mean_rstd(args.in[4]), gamma(args.in[5]);
    const RefTensor<uint8_t> index(args.in[3]);
    const auto* sums = static_cast<const double*>(args.in[6].data);
    const double count = static_cast<double>(args.step->global_batch) * static_cast<double>(a.pool.norm.pixels);
    wgrad<T>(args, a.conv, y.h(), y.w(), team, [&](int64_t n, int64_t k, int64_t p, int64_t q) {
        const double value = static_cast<double>(y.at(n, k, p, q));
        if (a.pool.norm.input_activation == Activation::relu && !(value > 0)) return T{0};
        const double rstd = static_cast<double>(mean_rstd.at(1, k));
        const double xhat = (value - static_cast<double>(mean_rstd.at(0, k))) * rstd;
        const double d = pooled_gradient(dy, index, a.pool.r, a.pool.s, n, k, p, q);
        return static_cast<T>(static_cast<double>(gamma.at(k)) * rstd *
                              (d - sums[k] / count - xhat * (sums[y.c() + k] / count)));
    });
}

}  // namespace

XB_RUN(conv2d_statistics, statistics, in[0])
XB_RUN(conv2d_pool, pool, in[0])
XB_RUN(conv2d_pool_wgrad, pool_wgrad, in[0])
XB_RUN(conv2d_batchnorm_pool_wgrad, batchnorm_pool_wgrad, in[0])

}  // namespace xbench
