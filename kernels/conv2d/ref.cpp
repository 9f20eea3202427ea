// The convolution and its two gradients as plain loops: any stride, padding, dilation and number of groups, f32 and f64,
// any mixture of layouts, sums in double. The oracle of every other implementation; the threads share images and channels.
#include "kernels/conv2d/reference_loops.h"

namespace xbench {
namespace {

const Conv2d& conv_of(const KernelArgs& args) { return *static_cast<const Conv2d*>(args.attrs); }

// The output position that reads input position `in` through `tap`, or -1.
int64_t output_position(int64_t in, int64_t tap, int64_t stride, int64_t pad, int64_t dilation, int64_t outputs) {
    const int64_t scaled = in + pad - tap * dilation;
    if (scaled < 0 || scaled % stride != 0) return -1;
    return scaled / stride < outputs ? scaled / stride : -1;
}

template <class T>
void forward(const KernelArgs& args, const Team& team) {
    const Conv2d& conv = conv_of(args);
    const Factor factor(args);
    const RefTensor<T> x(args.in[0]), w(args.in[1]), b(args.in, args.n_in, 2), y(args.out[0]);
    const int64_t k_per_group = y.c() / conv.groups;
    for (auto [task, end] = share(y.n() * y.c(), team); task < end; ++task) {
        const int64_t n = task / y.c(), k = task % y.c();
        for (int64_t p = 0; p < y.h(); ++p)
            for (int64_t q = 0; q < y.w(); ++q) {
                double value = forward_at(conv, factor, x, w, n, k, k / k_per_group * w.c(), p, q);
                if (b.present()) value += static_cast<double>(b.at(k));
                if (conv.activation == Activation::relu && value < 0) value = 0;
                y.at(n, k, p, q) = static_cast<T>(value);
            }
    }
    y.clear_padding(team);
}

template <class T>
double dgrad_at(const Conv2d& conv, const Factor& factor, const RefTensor<T>& dy, const RefTensor<T>& w, int64_t n,
                int64_t c, int64_t i, int64_t j) {
    const int64_t k_per_group = dy.c() / conv.groups, k_first = c / w.c() * k_per_group;
    double sum = 0;
    for (int64_t r = 0; r < conv.r; ++r)
        for (int64_t s = 0; s < conv.s; ++s) {
            const int64_t p = output_position(i, r, conv.stride_h, conv.pad_h, conv.dilation_h, dy.h());
            const int64_t q = output_position(j, s, conv.stride_w, conv.pad_w, conv.dilation_w, dy.w());
            if (p < 0 || q < 0) continue;
            for (int64_t k = k_first; k < k_first + k_per_group; ++k)
                sum += factor(dy.at(n, k, p, q)) * factor(w.at(k, c % w.c(), r, s));
        }
    return sum;
}

template <class T>
void dgrad(const KernelArgs& args, const Team& team) {
    const Conv2d& conv = conv_of(args);
    const Factor factor(args);
    const RefTensor<T> dy(args.in[0]), w(args.in[1]), dx(args.out[0]);
    for (auto [task, end] = share(dx.n() * dx.c(), team); task < end; ++task)
        for (int64_t i = 0; i < dx.h(); ++i)
            for (int64_t j = 0; j < dx.w(); ++j)
                dx.at(task / dx.c(), task % dx.c(), i, j) =
                    static_cast<T>(dgrad_at(conv, factor, dy, w, task / dx.c(), task % dx.c(), i, j));
    dx.clear_padding(team);
}

template <class T>
double wgrad_at(const Conv2d& conv, const Factor& factor, const RefTensor<T>& x, const RefTensor<T>& dy, int64_t n,
                int64_t k, int64_t c, int64_t r, int64_t s) {
    double sum = 0;
    for (int64_t p = 0; p < dy.h(); ++p)
        for (int64_t q = 0; q < dy.w(); ++q) {
            const int64_t i = input_row(conv, p, r), j = input_column(conv, q, s);
            if (i < 0 || i >= x.h() || j < 0 || j >= x.w()) continue;
            sum += factor(x.at(n, c, i, j)) * factor(dy.at(n, k, p, q));
        }
    return sum;
}

template <class T>
void bias_gradient(const KernelArgs& args, const Team& team) {
    const Factor factor(args);
    const RefTensor<T> dy(args.in[1]), db(args.out[1]);
    for (auto [k, end] = share(dy.c(), team); k < end; ++k)
        db.at(k) = sum_over_leaves<T>(*args.step, [&, channel = k](int64_t first, int64_t last) {
            double sum = 0;
            for (int64_t n = first; n < last; ++n)
                for (int64_t p = 0; p < dy.h(); ++p)
                    for (int64_t q = 0; q < dy.w(); ++q) sum += factor(dy.at(n, channel, p, q));
            return sum;
        });
}

template <class T>
void wgrad(const KernelArgs& args, const Team& team) {
    const Conv2d& conv = conv_of(args);
    const Factor factor(args);
    const RefTensor<T> x(args.in[0]), dy(args.in[1]), dw(args.out[0]);
    const int64_t k_per_group = dy.c() / conv.groups;
    for (auto [task, end] = share(dw.n() * dw.c(), team); task < end; ++task) {
        const int64_t k = task / dw.c(), c = task % dw.c(), c_of_x = k / k_per_group * dw.c() + c;
        for (int64_t r = 0; r < conv.r; ++r)
            for (int64_t s = 0; s < conv.s; ++s)
                dw.at(k, c, r, s) = sum_over_leaves<T>(*args.step, [&](int64_t first, int64_t last) {
                    double sum = 0;
                    for (int64_t n = first; n < last; ++n) sum += wgrad_at(conv, factor, x, dy, n, k, c_of_x, r, s);
                    return sum;
                });
    }
    if (present(args.out, args.n_out, 1)) bias_gradient<T>(args, team);
}

}  // namespace

XB_RUN(conv2d, forward, in[0])
XB_RUN(conv2d_dgrad, dgrad, in[0])
XB_RUN(conv2d_wgrad, wgrad, in[0])

}  // namespace xbench
