// Convolutions: a line is the pass forward and both gradients, alone or with the pass that follows it.
#include "kernels/cases/calls.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

Conv2d conv2d_attrs(const ProblemFields& f) {
    Conv2d a{};
    a.r = f.option("r", 1), a.s = f.option("s", a.r);
    a.stride_h = f.directed("stride", "_h", 1), a.stride_w = f.directed("stride", "_w", 1);
    a.pad_h = f.directed("pad", "_h", 0), a.pad_w = f.directed("pad", "_w", 0);
    a.dilation_h = f.directed("dilation", "_h", 1), a.dilation_w = f.directed("dilation", "_w", 1);
    a.groups = f.option("groups", 1);
    a.products = products(f);
    return a;
}

// A convolution of few channels also reads plain images and writes blocked ones (the stem of a blocked plan).
std::vector<LayerProblem> conv2d(const ProblemFields& f) {
    const Conv2d a = conv2d_attrs(f);
    Conv2d forward = a;
    forward.activation = activation(f);
    const Shape x = image_shape(f), w{f.size("k"), x[1] / a.groups, a.r, a.s}, b{w[0]};
    const Shape y = infer_shape(OpKind::conv2d, a, {x, w, b});
    std::vector<LayerProblem> all;
    const auto add = [&](Layout lx, Layout ly) {
        std::vector<KernelTensor> in{tensor(x, lx), tensor(w)}, gradients{tensor(w)};
        if (!f.has("nobias")) {
            in.push_back(tensor(b));
            gradients.push_back(tensor(b));
        }
        all.push_back(call(OpKind::conv2d, forward, in, {tensor(y, ly)}));
        all.push_back(call(OpKind::conv2d_wgrad, a, {tensor(x, lx), tensor(y, ly)}, gradients));
        if (lx == ly) all.push_back(call(OpKind::conv2d_dgrad, a, {tensor(y, ly), tensor(w)}, {tensor(x, lx)}));
    };
    for (const Layout layout : layouts) add(layout, layout);
    if (x[1] <= 4) add(Layout::plain, Layout::nchw16c);
    return all;
}

// A convolution with the pass that follows it: conv2d_statistics, and conv2d_pool with a window of 2x2 and the gradients of
// its filters, with and without batch normalisation in between.
std::vector<LayerProblem> conv2d_fused(const ProblemFields& f) {
    Conv2d a = conv2d_attrs(f);
    const Shape x = image_shape(f), w{f.size("k"), x[1] / a.groups, a.r, a.s}, b{w[0]};
    const Shape y = infer_shape(OpKind::conv2d, a, {x, w, b}), pooled{y[0], y[1], y[2] / 2, y[3] / 2};
    const KernelTensor sums = tensor({2, w[0]}, Layout::plain, DType::f64);
    a.activation = activation(f);
    std::vector<LayerProblem> all;
    const auto add = [&](Layout lx, Layout ly) {
        const KernelTensor bias = f.has("nobias") ? KernelTensor{} : tensor(b), index = tensor(pooled, ly, DType::u8);
        if (f.op == "conv2d_statistics")
            all.push_back(
                call(OpKind::conv2d_statistics, a, {tensor(x, lx), tensor(w), bias, tensor(b)}, {tensor(y, ly), sums}));
        else
            all.push_back(call(OpKind::conv2d_pool, Conv2dPool{a, 2, 2, folded_dropout(f)}, {tensor(x, lx), tensor(w), bias},
                               {tensor(pooled, ly), index}));
        if (f.has("noindex")) all.back().out.resize(1);
        if (f.op == "conv2d_statistics" || f.has("noindex")) return;
        std::vector<KernelTensor> gradients{tensor(w)};
        if (!f.has("nobias")) gradients.push_back(tensor(b));
        const Conv2dPool plain_attrs{conv2d_attrs(f), 2, 2};
        all.push_back(call(OpKind::conv2d_pool_wgrad, plain_attrs, {tensor(x, lx), tensor(pooled, ly), index}, gradients));
        Conv2dBatchNormPool norm{};
        norm.conv = plain_attrs.conv;
        norm.pool.norm.eps = 1e-5f, norm.pool.norm.momentum = 0.1f, norm.pool.norm.pixels = y[2] * y[3];
        norm.pool.norm.activation = activation(f), norm.pool.r = norm.pool.s = 2;
        all.push_back(call(OpKind::conv2d_batchnorm_pool_wgrad, norm,
                           {tensor(x, lx), tensor(y, ly), tensor(pooled, ly), index, tensor({2, w[0]}), tensor(b), sums},
                           gradients));
        if (ly == Layout::nchw16c) return;  // few channels in front of a blocked layer
        all.push_back(all.back());
        all.back().in[2] = tensor(pooled, Layout::nchw16c);
    };
    for (const Layout layout : layouts) add(layout, layout);
    if (x[1] <= 4) add(Layout::plain, Layout::nchw16c);
    return all;
}

// Windows are 2x2; a closed one has no position.
void fill_index(const KernelTensor& index, Random& random) {
    close_windows(index, random, 0.0);
    transform(index, [&](double v) { return v > 0 ? v : random.below(4); });
}

void fill_pool_wgrad(const Fill& fill) { fill_index(fill.args.in[2], fill.random); }

void fill_batchnorm_pool_wgrad(const Fill& fill) {
    const auto& norm = static_cast<const Conv2dBatchNormPool*>(fill.args.attrs)->pool.norm;
    fill_index(fill.args.in[3], fill.random);
    fill_second_row(fill.args.in[4], positive);
    const double pixels = fill.images() * static_cast<double>(norm.pixels);
    transform(fill.args.in[6], [&](double v) { return v * pixels; });
}

// x - K must not cancel.
void statistics_magnitudes(const KernelArgs& args) {
    absolute_inputs(args);
    transform(args.in[3], [](double v) { return -v; });
}

void batchnorm_pool_wgrad_magnitudes(const KernelArgs& args) {
    for (const int i : {0, 1, 2, 5}) make_absolute(args.in[i]);
    for (int64_t c = 0; c < args.in[4].dim[1]; ++c) set_element(args.in[4], c, -std::fabs(element(args.in[4], c)));
    transform(args.in[6], [](double v) { return -std::fabs(v); });
}

}  // namespace

FolderCases conv2d_cases() {
    return {
        {
            {"conv2d", XB_IMAGE_KEYS XB_WINDOW_KEYS "k# dilation# dilation_h# dilation_w# groups# nobias relu bf16 f16 tf32",
             conv2d},
            {"conv2d_statistics",
             XB_IMAGE_KEYS XB_WINDOW_KEYS "k# dilation# dilation_h# dilation_w# groups# nobias relu bf16 f16 tf32",
             conv2d_fused},
            {"conv2d_pool",
             XB_IMAGE_KEYS XB_WINDOW_KEYS
             "k# dilation# dilation_h# dilation_w# groups# nobias relu bf16 f16 tf32 noindex p= per_channel",
             conv2d_fused},
        },
        {
            {OpKind::conv2d, nullptr, of_absolute_inputs, true, 8, no_operator},
            {OpKind::conv2d_dgrad, nullptr, of_absolute_inputs, true, 8, OpKind::conv2d},
            {OpKind::conv2d_wgrad, nullptr, of_absolute_inputs, true, 8, OpKind::conv2d},
            {OpKind::conv2d_statistics, nullptr, Magnitudes{statistics_magnitudes}, false, 8, no_operator},
            {OpKind::conv2d_pool, nullptr, of_absolute_inputs, true, 8, no_operator},
            {OpKind::conv2d_pool_wgrad, fill_pool_wgrad, of_absolute_inputs, true, 8, OpKind::conv2d_pool},
            {OpKind::conv2d_batchnorm_pool_wgrad, fill_batchnorm_pool_wgrad, Magnitudes{batchnorm_pool_wgrad_magnitudes},
             false, 8, no_operator},
        }};
}

}  // namespace xbench
