// Pooling and its gradients as plain loops, f32 and f64, all layouts. The oracle of the other implementations; the threads
// share the images. Average sums are taken in double; a gradient is gathered, each input element from the windows it is in.
#include <algorithm>

#include "kernels/dropout/keep.h"
#include "kernels/reference.h"

namespace xbench {
namespace {

const Pool2d& attributes(const KernelArgs& args) { return *static_cast<const Pool2d*>(args.attrs); }

// Calls body(n, c, p, q) for every element of a tensor of this thread's images.
template <class T, class Body>
void for_each_element(const RefTensor<T>& tensor, const Team& team, Body&& body) {
    for (auto [n, end] = share(tensor.n(), team); n < end; ++n)
        for (int64_t c = 0; c < tensor.c(); ++c)
            for (int64_t i = 0; i < tensor.h(); ++i)
                for (int64_t j = 0; j < tensor.w(); ++j) body(n, c, i, j);
}

// The rows and columns of an image that window (p, q) covers, padding left out.
struct Window {
    int64_t top, left;  // of the window, maybe in the padding
    int64_t h_begin, h_end, w_begin, w_end;
};

Window window_at(const Pool2d& a, int64_t p, int64_t q, int64_t height, int64_t width) {
    const int64_t top = p * a.stride_h - a.pad_h, left = q * a.stride_w - a.pad_w;
    return {top,
            left,
            std::max<int64_t>(top, 0),
            std::min(top + a.r, height),
            std::max<int64_t>(left, 0),
            std::min(left + a.s, width)};
}

int64_t divisor(const Pool2d& a, const Window& window) {
    if (a.count_include_pad) return int64_t{a.r} * a.s;
    return (window.h_end - window.h_begin) * (window.w_end - window.w_begin);
}

template <class T>
void max_pool(const KernelArgs& args, const Team& team) {
    const Pool2d& a = attributes(args);
    const RefTensor<T> x(args.in[0]), y(args.out[0]);
    const RefTensor<uint8_t> index(args.out, args.n_out, 1);
    const Keep keep(a.dropout, *args.step, y.h(), y.w());
    for_each_element(y, team, [&](int64_t n, int64_t c, int64_t p, int64_t q) {
        const Window window = window_at(a, p, q, x.h(), x.w());
        int64_t best_h = window.h_begin, best_w = window.w_begin;
        for (int64_t h = window.h_begin; h < window.h_end; ++h)
            for (int64_t w = window.w_begin; w < window.w_end; ++w)
                if (x.at(n, c, h, w) > x.at(n, c, best_h, best_w)) best_h = h, best_w = w;
        const bool kept = keep(n, c, p, q);
        y.at(n, c, p, q) = kept ? x.at(n, c, best_h, best_w) * static_cast<T>(keep.scale()) : T{0};
        if (!index.present()) return;
        const int64_t place = (best_h - window.top) * a.s + best_w - window.left;
        index.at(n, c, p, q) = static_cast<uint8_t>(kept ? place : int64_t{closed_window});
    });
    y.clear_padding(team);
    if (index.present()) index.clear_padding(team);
}

// Calls body(p, q) for each window that covers the image's element (h, w), in ascending order.
template <class Body>
void for_windows_over(const Pool2d& a, int64_t h, int64_t w, int64_t p_end, int64_t q_end, Body&& body) {
    for (int64_t p = std::max<int64_t>(0, (h + a.pad_h - a.r + a.stride_h) / a.stride_h); p < p_end; ++p) {
        if (p * a.stride_h - a.pad_h > h) break;
        for (int64_t q = std::max<int64_t>(0, (w + a.pad_w - a.s + a.stride_w) / a.stride_w); q < q_end; ++q) {
            if (q * a.stride_w - a.pad_w > w) break;
            body(p, q);
        }
    }
}

template <class T>
void max_pool_grad(const KernelArgs& args, const Team& team) {
    const Pool2d& a = attributes(args);
    const RefTensor<T> dy(args.in[0]), y(args.in, args.n_in, 2), dx(args.out[0]);
    const RefTensor<uint8_t> index(args.in[1]);
    const double scale = static_cast<double>(Keep(a.dropout, *args.step, dy.h(), dy.w()).scale());
    for_each_element(dx, team, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        double sum = 0;
        for_windows_over(a, h, w, dy.h(), dy.w(), [&](int64_t p, int64_t q) {
            const int64_t place = (h - p * a.stride_h + a.pad_h) * a.s + w - q * a.stride_w + a.pad_w;
            const bool open = !y.present() || y.at(n, c, p, q) > 0;
            if (open && index.at(n, c, p, q) == place) sum += static_cast<double>(dy.at(n, c, p, q));
        });
        dx.at(n, c, h, w) = static_cast<T>(sum * scale);
    });
    dx.clear_padding(team);
}

template <class T>
void avg_pool(const KernelArgs& args, const Team& team) {
    const Pool2d& a = attributes(args);
    const RefTensor<T> x(args.in[0]), y(args.out[0]);
    for_each_element(y, team, [&](int64_t n, int64_t c, int64_t p, int64_t q) {
        const Window window = window_at(a, p, q, x.h(), x.w());
        double sum = 0;
        for (int64_t h = window.h_begin; h < window.h_end; ++h)
            for (int64_t w = window.w_begin; w < window.w_end; ++w) sum += static_cast<double>(x.at(n, c, h, w));
        y.at(n, c, p, q) = static_cast<T>(sum / static_cast<double>(divisor(a, window)));
    });
    y.clear_padding(team);
}

template <class T>
void avg_pool_grad(const KernelArgs& args, const Team& team) {
    const Pool2d& a = attributes(args);
    const RefTensor<T> dy(args.in[0]), dx(args.out[0]);
    for_each_element(dx, team, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        double sum = 0;
        for_windows_over(a, h, w, dy.h(), dy.w(), [&](int64_t p, int64_t q) {
            const Window window = window_at(a, p, q, dx.h(), dx.w());
            sum += static_cast<double>(dy.at(n, c, p, q)) / static_cast<double>(divisor(a, window));
        });
        dx.at(n, c, h, w) = static_cast<T>(sum);
    });
    dx.clear_padding(team);
}

template <class T>
void global_avg_pool(const KernelArgs& args, const Team& team) {
    const RefTensor<T> x(args.in[0]), y(args.out[0]);
    for (auto [n, end] = share(x.n(), team); n < end; ++n)
        for (int64_t c = 0; c < x.c(); ++c) {
            double sum = 0;
            for (int64_t h = 0; h < x.h(); ++h)
                for (int64_t w = 0; w < x.w(); ++w) sum += static_cast<double>(x.at(n, c, h, w));
            y.at(n, c) = static_cast<T>(sum / static_cast<double>(x.h() * x.w()));
        }
}

template <class T>
void global_avg_pool_grad(const KernelArgs& args, const Team& team) {
    const RefTensor<T> dy(args.in[0]), dx(args.out[0]);
    const double pixels = static_cast<double>(dx.h() * dx.w());
    for_each_element(dx, team, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        dx.at(n, c, h, w) = static_cast<T>(static_cast<double>(dy.at(n, c)) / pixels);
    });
    dx.clear_padding(team);
}

}  // namespace

XB_RUN(max_pool2d, max_pool, in[0])
XB_RUN(max_pool2d_grad, max_pool_grad, in[0])
XB_RUN(avg_pool2d, avg_pool, in[0])
XB_RUN(avg_pool2d_grad, avg_pool_grad, in[0])
XB_RUN(global_avg_pool, global_avg_pool, in[0])
XB_RUN(global_avg_pool_grad, global_avg_pool_grad, in[0])

}  // namespace xbench
