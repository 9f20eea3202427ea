// What a line of problems.cfg means for each operator: attributes, operands and their shapes (by the operator's own infer),
// its gradients, and the layouts that a plan can give them.
#include <set>

#include "core/error.h"
#include "kernels/cases/problem_fields.h"
#include "kernels/op.h"
#include "kernels/registry.h"

namespace xbench {
namespace {

KernelTensor tensor(Shape shape, Layout layout = Layout::plain, DType dtype = DType::f32) {
    return kernel_tensor(shape, dtype, layout);
}

// Shape of an operator's first output.
Shape infer_shape(OpKind op, const Attrs& attrs, std::initializer_list<Shape> operands) {
    std::vector<Value> values;
    for (const Shape& shape : operands) {
        Value value;
        value.shape = shape;
        values.push_back(value);
    }
    std::vector<const Value*> pointers;
    for (const Value& value : values) pointers.push_back(&value);
    return op_def(op).infer(attrs, pointers).at(0).shape;
}

LayerProblem call(OpKind op, const Attrs& attrs, std::vector<KernelTensor> in, std::vector<KernelTensor> out) {
    LayerProblem problem;
    problem.op = op;
    problem.attrs = attrs;
    problem.in = std::move(in);
    problem.out = std::move(out);
    return problem;
}

constexpr Layout layouts[] = {Layout::plain, Layout::nchw16c};

Shape image_shape(const ProblemFields& f) { return {f.size("n"), f.size("c"), f.size("h"), f.size("w", f.size("h"))}; }

Activation activation(const ProblemFields& f) { return f.has("relu") ? Activation::relu : Activation::none; }

// Of a pooling: the dropout behind it.
Dropout folded_dropout(const ProblemFields& f) {
    const auto p = static_cast<float>(f.real("p", 0));
    return Dropout{p, p > 0 && f.has("per_channel"), p > 0 ? 7u : 0u};
}

DType products(const ProblemFields& f) { return f.has("bf16") ? DType::bf16 : DType::f32; }

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

std::vector<LayerProblem> linear(const ProblemFields& f) {
    const Shape x{f.size("n"), f.size("f")}, w{f.size("k"), x[1]}, b{w[0]}, y{x[0], w[0]};
    std::vector<KernelTensor> in{tensor(x), tensor(w)}, gradients{tensor(w)};
    if (!f.has("nobias")) {
        in.push_back(tensor(b));
        gradients.push_back(tensor(b));
    }
    const Linear gradient{Activation::none, products(f)};
    return {call(OpKind::linear, Linear{activation(f), products(f)}, in, {tensor(y)}),
            call(OpKind::linear_dgrad, gradient, {tensor(y), tensor(w)}, {tensor(x)}),
            call(OpKind::linear_wgrad, gradient, {tensor(x), tensor(y)}, gradients)};
}

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

Pool2d pool_attrs(const ProblemFields& f) {
    Pool2d a{};
    a.r = f.option("r", 1), a.s = f.option("s", a.r);
    a.stride_h = f.directed("stride", "_h", a.r), a.stride_w = f.directed("stride", "_w", a.s);
    a.pad_h = f.directed("pad", "_h", 0), a.pad_w = f.directed("pad", "_w", 0);
    a.count_include_pad = f.has("exclude_pad") ? 0 : 1;
    a.dropout = folded_dropout(f);
    return a;
}

std::vector<LayerProblem> max_pool2d(const ProblemFields& f) {
    const Pool2d a = pool_attrs(f);
    const Shape x = image_shape(f), y = infer_shape(OpKind::max_pool2d, a, {x});
    std::vector<LayerProblem> all;
    for (const Layout layout : layouts) {
        const KernelTensor image = tensor(x, layout), pooled = tensor(y, layout), index = tensor(y, layout, DType::u8);
        if (f.has("noindex")) {
            all.push_back(call(OpKind::max_pool2d, a, {image}, {pooled}));
            continue;
        }
        all.push_back(call(OpKind::max_pool2d, a, {image}, {pooled, index}));
        all.push_back(call(OpKind::max_pool2d_grad, a, {pooled, index}, {image}));
        if (f.has("relu")) all.back().in.push_back(pooled);
    }
    return all;
}

std::vector<LayerProblem> avg_pool2d(const ProblemFields& f) {
    const Pool2d a = pool_attrs(f);
    const Shape x = image_shape(f), y = infer_shape(OpKind::avg_pool2d, a, {x});
    std::vector<LayerProblem> all;
    for (const Layout layout : layouts) {
        all.push_back(call(OpKind::avg_pool2d, a, {tensor(x, layout)}, {tensor(y, layout)}));
        all.push_back(call(OpKind::avg_pool2d_grad, a, {tensor(y, layout)}, {tensor(x, layout)}));
    }
    return all;
}

std::vector<LayerProblem> global_avg_pool(const ProblemFields& f) {
    const Shape x = image_shape(f), y{x[0], x[1]};
    std::vector<LayerProblem> all;
    for (const Layout layout : layouts) {
        all.push_back(call(OpKind::global_avg_pool, Pool2d{}, {tensor(x, layout)}, {tensor(y)}));
        all.push_back(call(OpKind::global_avg_pool_grad, Pool2d{}, {tensor(y)}, {tensor(x, layout)}));
    }
    return all;
}

// relu, add and dropout work on images and, when the line gives f, on rows of features.
std::vector<KernelTensor> one_or_both(const ProblemFields& f) {
    if (f.has("f")) return {tensor({f.size("n"), f.size("f")})};
    return {tensor(image_shape(f)), tensor(image_shape(f), Layout::nchw16c)};
}

std::vector<LayerProblem> relu(const ProblemFields& f) {
    std::vector<LayerProblem> all;
    for (const KernelTensor& x : one_or_both(f)) {
        all.push_back(call(OpKind::relu, {}, {x}, {x}));
        all.push_back(call(OpKind::relu_grad, {}, {x, x}, {x}));
    }
    return all;
}

std::vector<LayerProblem> add(const ProblemFields& f) {
    std::vector<LayerProblem> all;
    for (const KernelTensor& x : one_or_both(f)) {
        all.push_back(call(OpKind::add, Elementwise{activation(f)}, {x, x}, {x}));
        all.push_back(call(OpKind::accumulate, Elementwise{}, {x, x}, {x}));
    }
    return all;
}

std::vector<LayerProblem> reorder(const ProblemFields& f) {
    const KernelTensor images = tensor(image_shape(f)), blocked = tensor(image_shape(f), Layout::nchw16c);
    return {call(OpKind::reorder, Elementwise{}, {images}, {blocked}),
            call(OpKind::reorder, Elementwise{}, {blocked}, {images})};
}

std::vector<LayerProblem> flatten(const ProblemFields& f) {
    const Shape x = image_shape(f);
    const KernelTensor row = tensor({x[0], x[1] * x[2] * x[3]});
    std::vector<LayerProblem> all;
    for (const Layout layout : layouts) {
        all.push_back(call(OpKind::flatten, {}, {tensor(x, layout)}, {row}));
        all.push_back(call(OpKind::flatten, {}, {row}, {tensor(x, layout)}));
    }
    return all;
}

std::vector<LayerProblem> dropout(const ProblemFields& f) {
    const Dropout a{static_cast<float>(f.real("p", 0.5)), f.has("per_channel"), 7};
    std::vector<LayerProblem> all;
    for (const KernelTensor& x : one_or_both(f)) {
        all.push_back(call(OpKind::dropout, a, {x}, {x}));
        all.push_back(call(OpKind::dropout_grad, a, {x}, {x}));
    }
    return all;
}

std::vector<LayerProblem> softmax_cross_entropy(const ProblemFields& f) {
    const KernelTensor logits = tensor({f.size("n"), f.size("k")}),
                       labels = tensor({f.size("n")}, Layout::plain, DType::i32);
    return {call(OpKind::softmax_cross_entropy, Loss{}, {logits, labels}, {tensor({1}, Layout::plain, DType::f64), logits}),
            call(OpKind::softmax_cross_entropy_grad, Loss{}, {logits, labels}, {logits})};
}

std::vector<LayerProblem> bce_with_logits(const ProblemFields& f) {
    const KernelTensor logits = tensor({f.size("n"), f.size("k")}), loss = tensor({1}, Layout::plain, DType::f64);
    std::vector<KernelTensor> in{logits, logits};
    if (!f.has("nopos")) in.push_back(tensor({f.size("k")}));
    return {call(OpKind::bce_with_logits, Loss{}, in, {loss, logits}),
            call(OpKind::bce_with_logits_grad, Loss{}, in, {logits})};
}

std::vector<LayerProblem> optimizer(const ProblemFields& f) {
    Optimizer a{};
    a.beta1 = 0.9f, a.beta2 = 0.999f;
    a.eps = static_cast<float>(f.real("eps", 1e-8)), a.weight_decay = static_cast<float>(f.real("weight_decay", 0));
    a.momentum = static_cast<float>(f.real("momentum", 0.9));
    a.decoupled = f.has("decoupled"), a.nesterov = f.has("nesterov");
    const KernelTensor flat = tensor({f.size("n")});
    if (f.op == "sgd") return {call(OpKind::sgd, a, {flat}, {flat, flat})};
    return {call(OpKind::adam, a, {flat}, {flat, flat, flat})};
}

using Maker = std::vector<LayerProblem> (*)(const ProblemFields&);
const std::map<std::string, Maker>& makers() {
    static const std::map<std::string, Maker> table{{"conv2d", conv2d},
                                                    {"conv2d_statistics", conv2d_fused},
                                                    {"conv2d_pool", conv2d_fused},
                                                    {"linear", linear},
                                                    {"batchnorm", batchnorm},
                                                    {"batchnorm_pool", batchnorm_pool},
                                                    {"max_pool2d", max_pool2d},
                                                    {"avg_pool2d", avg_pool2d},
                                                    {"global_avg_pool", global_avg_pool},
                                                    {"relu", relu},
                                                    {"add", add},
                                                    {"reorder", reorder},
                                                    {"flatten", flatten},
                                                    {"dropout", dropout},
                                                    {"softmax_cross_entropy", softmax_cross_entropy},
                                                    {"adam", optimizer},
                                                    {"bce_with_logits", bce_with_logits},
                                                    {"sgd", optimizer}};
    return table;
}

}  // namespace

FieldKind kind_of_field(const std::string& key) {
    static const std::set<std::string> numbers{
        "n",   "c",     "h",        "w",          "k",      "r",        "s",     "f",      "stride",    "stride_h",
        "pad", "pad_h", "dilation", "dilation_h", "groups", "stride_w", "pad_w", "leaves", "dilation_w"};
    static const std::set<std::string> reals{"p", "eps", "weight_decay", "momentum", "update"};
    static const std::set<std::string> words{"relu",      "nobias",   "relu_input", "per_channel", "exclude_pad", "noindex",
                                             "decoupled", "nesterov", "nopos",      "bench",       "bf16"};
    if (numbers.count(key)) return FieldKind::number;
    if (reals.count(key)) return FieldKind::real;
    return words.count(key) ? FieldKind::word : FieldKind::none;
}

bool known_problem_operator(const std::string& op) { return makers().count(op) > 0; }

std::vector<LayerProblem> operands_of(const ProblemFields& fields) { return makers().at(fields.op)(fields); }

}  // namespace xbench
