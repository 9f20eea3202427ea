// A convolution and the passes beside it as one, as plain loops: f32 and f64, any mixture of layouts, sums in double. The
// oracle of the fused kernels; tests/plan holds it against the unfused operators. The threads share images and channels.
#include "kernels/conv2d/reference_loops.h"
#include "kernels/registry.h"

namespace xbench {
namespace {

// Output (n, k, p, q) of the convolution with bias and activation, rounded as it would be stored.
template <class T>
class Output {
public:
    Output(const KernelArgs& args, const Conv2d& conv)
        : conv_(conv), x_(args.in[0]), w_(args.in[1]), b_(args.in, args.n_in, 2), k_per_group_(w_.n() / conv.groups) {}

    T at(int64_t n, int64_t k, int64_t p, int64_t q) const {
        double value = forward_at(conv_, x_, w_, n, k, k / k_per_group_ * w_.c(), p, q);
        if (b_.present()) value += static_cast<double>(b_.at(k));
        return static_cast<T>(conv_.activation == Activation::relu && value < 0 ? 0 : value);
    }

private:
    const Conv2d& conv_;
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
                y.at(n, k, p, q) = best;
                if (index.present())
                    index.at(n, k, p, q) = static_cast<uint8_t>(relu && !(best > 0) ? closed_window : place);
            }
    y.clear_padding(team);
    if (index.present()) index.clear_padding(team);
}

void run_statistics(const KernelArgs& args, const Team& team) noexcept {
    dispatch_float(args.in[0].dtype, [&](auto zero) { statistics<decltype(zero)>(args, team); });
}
void run_pool(const KernelArgs& args, const Team& team) noexcept {
    dispatch_float(args.in[0].dtype, [&](auto zero) { pool<decltype(zero)>(args, team); });
}

bool supports(const Problem& problem) { return is_float(problem.in[0]); }

const Kernel rows[] = {
    {OpKind::conv2d_statistics, "reference", Isa::portable, supports, nullptr, run_statistics},
    {OpKind::conv2d_pool, "reference", Isa::portable, supports, nullptr, run_pool},
};

}  // namespace

KernelRows conv2d_fused_reference();
KernelRows conv2d_fused_reference() { return {rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace xbench
