// Batch normalisations and those in front of a pooling: a line is all parts of both passes. Variances are positive, and
// x - mean, where cancellation happens, is measured by |x - mean|, or by |x| + |mean| where an implementation may multiply
// before it subtracts.
#include "kernels/cases/calls.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

std::vector<LayerProblem> batchnorm(const ProblemFields& f) {
    const Shape shape = image_shape(f);
    BatchNorm a{};
    a.eps = static_cast<float>(f.real("eps", 1e-5)), a.momentum = static_cast<float>(f.real("momentum", 0.1));
    a.activation = activation(f), a.pixels = shape[2] * shape[3];
    a.input_activation = f.has("relu_input") ? Activation::relu : Activation::none;
    const KernelTensor channel = tensor({shape[1]}), pair = tensor({2, shape[1]});
    const KernelTensor sums = tensor({2, shape[1]}, Layout::plain, DType::f64);
    std::vector<LayerProblem> all{call(OpKind::batchnorm_finalize, a, {sums, channel, channel}, {pair, channel, channel}),
                                  call(OpKind::batchnorm_inference, a, {channel, channel}, {pair}),
                                  call(OpKind::batchnorm_grad_parameters, a, {sums}, {channel, channel})};
    for (const Layout layout : layouts) {
        const KernelTensor x = tensor(shape, layout);
        all.push_back(call(OpKind::batchnorm_statistics, a, {x, channel}, {sums}));
        all.push_back(call(OpKind::batchnorm_apply, a, {x, pair, channel, channel}, {x}));
        LayerProblem statistics = call(OpKind::batchnorm_grad_statistics, a, {x, x, pair}, {sums});
        LayerProblem input = call(OpKind::batchnorm_grad_input, a, {x, x, pair, channel, sums}, {x});
        if (a.activation == Activation::relu) {
            statistics.in.push_back(x);
            input.in.push_back(x);
        }
        all.push_back(statistics);
        all.push_back(input);
    }
    return all;
}

// r is the pooling's window and stride; noindex is an inference plan. The pooled side may be blocked when x is plain.
std::vector<LayerProblem> batchnorm_pool(const ProblemFields& f) {
    const Shape shape = image_shape(f);
    BatchNormPool a{};
    a.norm.eps = 1e-5f, a.norm.momentum = 0.1f;
    a.norm.activation = activation(f), a.norm.pixels = shape[2] * shape[3];
    a.norm.input_activation = f.has("relu_input") ? Activation::relu : Activation::none;
    a.r = a.s = f.option("r", 2);
    a.dropout = folded_dropout(f);
    const Shape pooled{shape[0], shape[1], shape[2] / a.r, shape[3] / a.s};
    const KernelTensor channel = tensor({shape[1]}), pair = tensor({2, shape[1]});
    const KernelTensor sums = tensor({2, shape[1]}, Layout::plain, DType::f64);
    std::vector<LayerProblem> all;
    const auto add = [&](Layout layout, Layout pooled_layout) {
        const KernelTensor x = tensor(shape, layout), xhat = tensor(pooled, layout);
        const KernelTensor y = tensor(pooled, pooled_layout), index = tensor(pooled, layout, DType::u8);
        if (f.has("noindex")) {
            all.push_back(call(OpKind::batchnorm_pool_apply, a, {x, pair, channel, channel}, {y}));
            return;
        }
        all.push_back(call(OpKind::batchnorm_pool_apply, a, {x, pair, channel, channel}, {y, index, xhat}));
        all.push_back(call(OpKind::batchnorm_pool_grad_statistics, a, {xhat, y}, {sums}));
        if (a.norm.activation == Activation::relu || a.dropout.p > 0) all.back().in.push_back(index);
        all.push_back(call(OpKind::batchnorm_pool_grad_input, a, {x, y, index, pair, channel, sums}, {x}));
    };
    for (const Layout layout : layouts) add(layout, layout);
    add(Layout::plain, Layout::nchw16c);
    return all;
}

// mean_rstd at `operand`.
template <int operand>
void fill_rstd(const Fill& fill) {
    fill_second_row(fill.args.in[operand], positive);
}

void fill_grad_statistics(const Fill& fill) {
    fill_second_row(fill.args.in[2], positive);
    if (fill.args.n_in > 3) make_positive_part(fill.args.in[3]);
}

void fill_pool_grad_statistics(const Fill& fill) {
    if (fill.args.n_in > 2) close_windows(fill.args.in[2], fill.random, 0.0);
}

// Sums over as many elements as there are.
void fill_sums(const Fill& fill, const KernelTensor& sums, const BatchNorm& norm) {
    const double elements = fill.images() * static_cast<double>(norm.pixels);
    transform(sums, [&](double v) { return v * elements; });
}

void fill_grad_input(const Fill& fill) {
    const KernelArgs& args = fill.args;
    const auto& norm = *static_cast<const BatchNorm*>(args.attrs);
    fill_second_row(args.in[2], positive);
    fill_sums(fill, args.in[4], norm);
    if (args.n_in > 5) make_positive_part(args.in[5]);
    if (norm.input_activation == Activation::relu) make_positive_part(args.in[0]);
}

void fill_pool_grad_input(const Fill& fill) {
    const KernelArgs& args = fill.args;
    const auto& a = *static_cast<const BatchNormPool*>(args.attrs);
    fill_second_row(args.in[3], positive);
    fill_sums(fill, args.in[5], a.norm);
    if (a.norm.input_activation == Activation::relu) make_positive_part(args.in[0]);
    fill_pool_index(args.in[0], args.in[1], args.in[2], Pool2d{a.r, a.s, a.r, a.s, 0, 0, 1}, fill);
    if (a.norm.activation == Activation::relu || a.dropout.p > 0) close_windows(args.in[2], fill.random, -1);
}

void fill_finalize(const Fill& fill) {
    const KernelTensor& sums = fill.args.in[0];
    const double pixels = fill.images() * static_cast<double>(static_cast<const BatchNorm*>(fill.args.attrs)->pixels);
    fill_second_row(sums, [&](double v, double sum) { return pixels * (sum * sum + 0.1 + std::fabs(v)); });
    for (int64_t c = 0; c < sums.dim[1]; ++c) set_element(sums, c, element(sums, c) * pixels);
    transform(fill.args.in[2], [](double v) { return positive(v); });
}

void fill_inference(const Fill& fill) {
    transform(fill.args.in[1], [](double v) { return positive(v); });
}

// |x - mean| in place of x, 0 in place of the mean.
void make_distance(const KernelTensor& x, const KernelTensor& mean) {
    const int64_t pixels = x.dim[2] * x.dim[3];
    for (int64_t i = 0; i < elements_of(x); ++i)
        set_element(x, i, std::fabs(element(x, i) - element(mean, i / pixels % x.dim[1])));
    for (int64_t c = 0; c < x.dim[1]; ++c) set_element(mean, c, 0);
}
void negate(const KernelTensor& t) {
    transform(t, [](double v) { return -std::fabs(v); });
}
void negate_mean(const KernelTensor& t) {
    for (int64_t c = 0; c < t.dim[1]; ++c) set_element(t, c, -std::fabs(element(t, c)));
}

void statistics_magnitudes(const KernelArgs& args) { make_distance(args.in[0], args.in[1]); }
void apply_magnitudes(const KernelArgs& args) {
    for (const int i : {0, 2, 3}) make_absolute(args.in[i]);
    negate_mean(args.in[1]);
}
void grad_statistics_magnitudes(const KernelArgs& args) {
    make_distance(args.in[0], args.in[2]);
    make_absolute(args.in[1]);
}
void grad_input_magnitudes(const KernelArgs& args) {
    for (const int i : {0, 1, 3}) make_absolute(args.in[i]);
    negate_mean(args.in[2]);
    negate(args.in[4]);
}
void pool_grad_statistics_magnitudes(const KernelArgs& args) {
    for (const int i : {0, 1}) make_absolute(args.in[i]);
}
void pool_grad_input_magnitudes(const KernelArgs& args) {
    for (const int i : {0, 1, 4}) make_absolute(args.in[i]);
    negate_mean(args.in[3]);
    negate(args.in[5]);
}

}  // namespace

FolderCases batchnorm_cases() {
    return {{
                {"batchnorm", XB_IMAGE_KEYS "relu relu_input eps= momentum=", batchnorm},
                {"batchnorm_pool", XB_IMAGE_KEYS "r# relu relu_input noindex p= per_channel", batchnorm_pool},
            },
            {
                {OpKind::batchnorm_statistics, nullptr, Magnitudes{statistics_magnitudes}, true, 8, no_operator},
                {OpKind::batchnorm_finalize, fill_finalize, of_result, false, 8, no_operator},
                {OpKind::batchnorm_inference, fill_inference, of_result, false, 8, no_operator},
                {OpKind::batchnorm_apply, fill_rstd<1>, Magnitudes{apply_magnitudes}, false, 8, no_operator},
                {OpKind::batchnorm_grad_statistics, fill_grad_statistics, Magnitudes{grad_statistics_magnitudes}, false, 8,
                 no_operator},
                {OpKind::batchnorm_grad_parameters, nullptr, of_result, false, 8, no_operator},
                {OpKind::batchnorm_grad_input, fill_grad_input, Magnitudes{grad_input_magnitudes}, false, 8, no_operator},
                {OpKind::batchnorm_pool_apply, fill_rstd<1>, Magnitudes{apply_magnitudes}, false, 8, no_operator},
                {OpKind::batchnorm_pool_grad_statistics, fill_pool_grad_statistics,
                 Magnitudes{pool_grad_statistics_magnitudes}, false, 8, no_operator},
                {OpKind::batchnorm_pool_grad_input, fill_pool_grad_input, Magnitudes{pool_grad_input_magnitudes}, false, 8,
                 no_operator},
            }};
}

}  // namespace xbench
