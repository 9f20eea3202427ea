// relu, relu_grad, add, accumulate, reorder and flatten as plain loops, f32 and f64, all layouts. The oracle of the other
// implementations; the threads share the images.
#include "kernels/reference.h"
#include "kernels/registry.h"

namespace xbench {
namespace {

// out(n, c, h, w) = body(n, c, h, w) for this thread's images; the padding becomes zero.
template <class T, class Body>
void fill(const RefTensor<T>& out, const Team& team, Body&& body) {
    for (auto [n, end] = share(out.n(), team); n < end; ++n)
        for (int64_t c = 0; c < out.c(); ++c)
            for (int64_t h = 0; h < out.h(); ++h)
                for (int64_t w = 0; w < out.w(); ++w) out.at(n, c, h, w) = body(n, c, h, w);
    out.clear_padding(team);
}

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

#define XB_RUN(function)                                                                            \
    void run_##function(const KernelArgs& args, const Team& team) noexcept {                        \
        dispatch_float(args.in[0].dtype, [&](auto zero) { function<decltype(zero)>(args, team); }); \
    }
XB_RUN(relu)
XB_RUN(relu_grad)
XB_RUN(add)
XB_RUN(reorder)
XB_RUN(flatten)
#undef XB_RUN

const Kernel rows[] = {
    {OpKind::relu, "reference", Isa::portable, reference_supports, nullptr, run_relu},
    {OpKind::relu_grad, "reference", Isa::portable, reference_supports, nullptr, run_relu_grad},
    {OpKind::add, "reference", Isa::portable, reference_supports, nullptr, run_add},
    {OpKind::accumulate, "reference", Isa::portable, reference_supports, nullptr, run_add},
    {OpKind::reorder, "reference", Isa::portable, reference_supports, nullptr, run_reorder},
    {OpKind::flatten, "reference", Isa::portable, reference_supports, nullptr, run_flatten},
};

}  // namespace

KernelRows elementwise_reference();
KernelRows elementwise_reference() { return {rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace xbench
