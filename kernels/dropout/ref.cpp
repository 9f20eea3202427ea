// dropout and its gradient, f32 and f64, all layouts: the same function of (seed, step, image, element), applied to x or dy.
// The oracle of the other implementations; the threads share the images.
#include "kernels/dropout/keep.h"
#include "kernels/reference.h"

namespace xbench {
namespace {

template <class T>
void dropout(const KernelArgs& args, const Team& team) {
    const auto& a = *static_cast<const Dropout*>(args.attrs);
    const RefTensor<T> x(args.in[0]), y(args.out[0]);
    const Keep keep(a, *args.step, x.h(), x.w());
    const T scale = static_cast<T>(keep.scale());
    for (auto [n, end] = share(x.n(), team); n < end; ++n)
        for (int64_t c = 0; c < x.c(); ++c)
            for (int64_t h = 0; h < x.h(); ++h)
                for (int64_t w = 0; w < x.w(); ++w) y.at(n, c, h, w) = keep(n, c, h, w) ? x.at(n, c, h, w) * scale : T{0};
    y.clear_padding(team);
}

}  // namespace

XB_RUN(dropout, dropout, in[0])
XB_RUN(dropout_grad, dropout, in[0])

}  // namespace xbench
