// relu, relu_grad, add, accumulate, reorder and flatten as plain loops, f32 and f64, all layouts. The oracle of the other
// implementations; the threads share the images.
#include "kernels/reference.h"

namespace xbench {
namespace {

template <class T>
void relu(const KernelArgs& args, const Team& team) {
    const RefTensor<T> x(args.in[0]);
    fill(RefTensor<T>(args.out[0]), team, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        const T value = x.at(n, c, h, w);
        return value < 0 ? T{0} : value;  // NaN stays NaN
    });
}

template <class T>
void relu_grad(const KernelArgs& args, const Team& team) {
    const RefTensor<T> dy(args.in[0]), y(args.in[1]);
    fill(RefTensor<T>(args.out[0]), team,
         [&](int64_t n, int64_t c, int64_t h, int64_t w) { return y.at(n, c, h, w) > 0 ? dy.at(n, c, h, w) : T{0}; });
}

// add and accumulate.
template <class T>
void add(const KernelArgs& args, const Team& team) {
    const RefTensor<T> a(args.in[0]), b(args.in[1]);
    const auto* attrs = static_cast<const Elementwise*>(args.attrs);
    const bool relu = attrs && attrs->activation == Activation::relu;
    fill(RefTensor<T>(args.out[0]), team, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        const T sum = a.at(n, c, h, w) + b.at(n, c, h, w);
        return relu && sum < 0 ? T{0} : sum;
    });
}

template <class T>
void reorder(const KernelArgs& args, const Team& team) {
    const RefTensor<T> x(args.in[0]);
    fill(RefTensor<T>(args.out[0]), team, [&](int64_t n, int64_t c, int64_t h, int64_t w) { return x.at(n, c, h, w); });
}

// {n,c,h,w} to {n,c*h*w} and, as its gradient, back: the logical order of an image's elements stays.
template <class T>
void flatten(const KernelArgs& args, const Team& team) {
    const RefTensor<T> x(args.in[0]), y(args.out[0]);
    fill(y, team, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        const int64_t element = (c * y.h() + h) * y.w() + w, row = element / x.w();
        return x.at(n, row / x.h(), row % x.h(), element % x.w());
    });
}

}  // namespace

XB_RUN(relu, relu, in[0])
XB_RUN(relu_grad, relu_grad, in[0])
XB_RUN(add, add, in[0])
XB_RUN(accumulate, add, in[0])
XB_RUN(reorder, reorder, in[0])
XB_RUN(flatten, flatten, in[0])

}  // namespace xbench
