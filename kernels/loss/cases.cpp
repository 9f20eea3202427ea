// Losses: a line is the loss and its gradient. Labels are classes, probabilities lie in [0, 1], targets too, or are -1:
// unknown.
#include "kernels/cases/calls.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

Loss loss_of(const ProblemFields& f) {
    Loss loss;
    loss.smoothing = static_cast<float>(f.real("smoothing", 0)), loss.focal = f.has("gamma");
    loss.gamma = static_cast<float>(f.real("gamma", 2)), loss.alpha = static_cast<float>(f.real("alpha", 0.25));
    return loss;
}

std::vector<LayerProblem> softmax_cross_entropy(const ProblemFields& f) {
    const KernelTensor logits = tensor({f.size("n"), f.size("k")}),
                       labels = tensor({f.size("n")}, Layout::plain, DType::i32);
    std::vector<KernelTensor> in{logits, labels};
    if (f.has("weighted")) in.push_back(tensor({f.size("k")}));
    return {call(OpKind::softmax_cross_entropy, loss_of(f), in, {tensor({1}, Layout::plain, DType::f64), logits}),
            call(OpKind::softmax_cross_entropy_grad, loss_of(f), in, {logits})};
}

std::vector<LayerProblem> bce_with_logits(const ProblemFields& f) {
    const KernelTensor logits = tensor({f.size("n"), f.size("k")}), loss = tensor({1}, Layout::plain, DType::f64);
    std::vector<KernelTensor> in{logits, logits};
    if (!f.has("nopos")) in.push_back(tensor({f.size("k")}));
    if (f.has("weighted")) in.push_back(tensor({f.size("k")}));
    return {call(OpKind::bce_with_logits, loss_of(f), in, {loss, logits}),
            call(OpKind::bce_with_logits_grad, loss_of(f), in, {logits})};
}

void scale_logits(const KernelTensor& logits, double by) {
    transform(logits, [by](double v) { return by * v; });
}
void make_probabilities(const KernelTensor& t) {
    transform(t, [](double v) { return (v + 1) / 2; });
}

// Rows that add up to 1, as a focal loss needs them: it takes 1 - p from the other classes.
void make_distributions(const KernelTensor& t) {
    transform(t, [](double v) { return (v + 1) / 2 + 0.05; });
    for (int64_t n = 0; n < t.dim[0]; ++n) {
        double sum = 0;
        for (int64_t k = 0; k < t.dim[1]; ++k) sum += element(t, n * t.dim[1] + k);
        for (int64_t k = 0; k < t.dim[1]; ++k) set_element(t, n * t.dim[1] + k, element(t, n * t.dim[1] + k) / sum);
    }
}

void fill_labels(const Fill& fill) {
    const auto classes = static_cast<uint32_t>(fill.args.in[0].dim[1]);
    if (fill.args.n_in > 2) transform(fill.args.in[2], [](double v) { return 1.5 + v; });
    transform(fill.args.in[1], [&](double) { return fill.random.below(classes); });
}
void fill_softmax(const Fill& fill) {
    fill_labels(fill);
    scale_logits(fill.args.in[0], 4);
}
void fill_softmax_grad(const Fill& fill) {
    fill_labels(fill);
    const bool focal = static_cast<const Loss*>(fill.args.attrs)->focal;
    focal ? make_distributions(fill.args.in[0]) : make_probabilities(fill.args.in[0]);
}

void fill_targets(const Fill& fill) {
    constexpr double targets[] = {1, 1, 0.25, 0.25, 0.25, 0, 0, -1};
    transform(fill.args.in[1], [&](double) { return targets[fill.random.below(8)]; });
    for (int i = 2; i < fill.args.n_in; ++i) transform(fill.args.in[i], [](double v) { return 1.5 + v; });
}
void fill_bce(const Fill& fill) {
    fill_targets(fill);
    scale_logits(fill.args.in[0], 6);
}
void fill_bce_grad(const Fill& fill) {
    fill_targets(fill);
    make_probabilities(fill.args.in[0]);
}

}  // namespace

FolderCases loss_cases() {
    return {{
                {"softmax_cross_entropy", "k# weighted smoothing= gamma= loss_scale=", softmax_cross_entropy},
                {"bce_with_logits", "k# nopos weighted smoothing= gamma= alpha= loss_scale=", bce_with_logits},
            },
            {
                {OpKind::softmax_cross_entropy, fill_softmax, of_result, false, 8, no_operator},
                {OpKind::softmax_cross_entropy_grad, fill_softmax_grad, of_result, false, 8, no_operator},
                {OpKind::bce_with_logits, fill_bce, of_result, false, 8, no_operator},
                {OpKind::bce_with_logits_grad, fill_bce_grad, of_result, false, 8, no_operator},
            }};
}

}  // namespace xbench
