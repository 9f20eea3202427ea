// Losses: a line is the loss and its gradient. Labels are classes, targets lie in [0, 1], probabilities too.
#include "kernels/cases/calls.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

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

void scale_logits(const KernelTensor& logits, double by) {
    transform(logits, [by](double v) { return by * v; });
}
void make_probabilities(const KernelTensor& t) {
    transform(t, [](double v) { return (v + 1) / 2; });
}

void fill_labels(const Fill& fill) {
    const auto classes = static_cast<uint32_t>(fill.args.in[0].dim[1]);
    transform(fill.args.in[1], [&](double) { return fill.random.below(classes); });
}
void fill_softmax(const Fill& fill) {
    fill_labels(fill);
    scale_logits(fill.args.in[0], 4);
}
void fill_softmax_grad(const Fill& fill) {
    fill_labels(fill);
    make_probabilities(fill.args.in[0]);
}

void fill_targets(const Fill& fill) {
    transform(fill.args.in[1], [&](double) { return fill.random.below(4) == 0 ? 1 : fill.random.below(2) * 0.25; });
    if (fill.args.n_in > 2) transform(fill.args.in[2], [](double v) { return 1.5 + v; });
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
                {"softmax_cross_entropy", "k# loss_scale=", softmax_cross_entropy},
                {"bce_with_logits", "k# nopos loss_scale=", bce_with_logits},
            },
            {
                {OpKind::softmax_cross_entropy, fill_softmax, of_result, false, 8, no_operator},
                {OpKind::softmax_cross_entropy_grad, fill_softmax_grad, of_result, false, 8, no_operator},
                {OpKind::bce_with_logits, fill_bce, of_result, false, 8, no_operator},
                {OpKind::bce_with_logits_grad, fill_bce_grad, of_result, false, 8, no_operator},
            }};
}

}  // namespace xbench
