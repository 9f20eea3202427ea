// Calls and data of the cases.cpp files.
#include "kernels/cases/calls.h"

#include "kernels/run.h"

namespace xbench {

LayerProblem call(OpKind op, const Attrs& attrs, std::vector<KernelTensor> in, std::vector<KernelTensor> out) {
    LayerProblem problem;
    problem.op = op;
    problem.attrs = attrs;
    problem.in = std::move(in);
    problem.out = std::move(out);
    return problem;
}

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

Dropout folded_dropout(const ProblemFields& f) {
    const auto p = static_cast<float>(f.real("p", 0));
    return Dropout{p, p > 0 && f.has("per_channel"), p > 0 ? 7u : 0u};
}

std::vector<KernelTensor> images_or_rows(const ProblemFields& f) {
    if (f.has("f")) return {tensor({f.size("n"), f.size("f")})};
    return {tensor(image_shape(f)), tensor(image_shape(f), Layout::nchw16c)};
}

void make_positive_part(const KernelTensor& t) {
    transform(t, [](double v) { return std::max(v, 0.0); });
}

void close_windows(const KernelTensor& index, Random& random, double other) {
    transform(index, [&](double v) { return random.below(3) == 0 ? double{closed_window} : other < 0 ? v : other; });
}

void fill_pool_index(KernelTensor x, KernelTensor y, const KernelTensor& index, const Pool2d& pool, const Fill& fill) {
    x.dtype = y.dtype = DType::f32;
    std::vector<float> image(static_cast<size_t>(stored_bytes_of(x)) / sizeof(float));
    std::vector<float> pooled(static_cast<size_t>(stored_bytes_of(y)) / sizeof(float));
    Random random(fill.seed, RandomUse::test_data, 99);
    x.data = image.data();
    transform(x, [&](double) { return static_cast<double>(random.uniform()); });
    y.data = pooled.data();
    KernelArgs forward{};
    forward.op = OpKind::max_pool2d;
    forward.attrs = &pool;
    forward.step = fill.args.step;
    forward.n_in = 1, forward.n_out = 2;
    forward.in[0] = x, forward.out[0] = y, forward.out[1] = index;
    run_kernel(reference(OpKind::max_pool2d), forward, 1);
}

void make_absolute(const KernelTensor& t) {
    transform(t, [](double v) { return std::fabs(v); });
}

void absolute_inputs(const KernelArgs& args) {
    for (int i = 0; i < args.n_in; ++i)
        if (args.in[i].dtype == DType::f64) make_absolute(args.in[i]);
}

}  // namespace xbench
