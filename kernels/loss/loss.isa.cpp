// "rows": softmax cross-entropy and binary cross-entropy with logits, and their gradients, f32. A row is an image; its
// exponentials are taken a vector at a time, its loss in double, into the workspace; the first thread adds the losses of all
// images in the tree over leaves. Logarithms are those of 1 + (a sum without its largest term): exact for confident rows
// too. Bound by log1p: 0.5 us for 8 rows of 2 classes, 2.5 us for 32 rows of 14 binary ones, 33 us for 32 rows of 1000
// classes (one core of an AMD EPYC 9005, AVX-512).
#include "kernels/kernel.h"
#include "kernels/loss/terms.h"
#include "kernels/simd/exponential.h"
#include "kernels/simd/leaf_sum.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows loss_rows();
namespace {

const float* floats(const KernelTensor& t) { return static_cast<const float*>(t.data); }

XB_INLINE VM lanes_at(int64_t k, int64_t classes) {
    return vm_first(static_cast<int>(classes - k < vf_width ? classes - k : vf_width));
}

// One double an image.
size_t loss_workspace(const Problem& p, int) { return static_cast<size_t>(p.in[0].dim[0]) * sizeof(double); }

double gradient_scale(const StepContext& step) {
    return step.loss_scale ? step.inverse_batch * static_cast<double>(*step.loss_scale) : step.inverse_batch;
}

double sum_of_losses(const StepContext& step, const double* loss) {
    return leaf_tree_sum<double>(step, [&](int32_t v) {
        double sum = 0;
        for (int32_t n = step.leaf_begin[v]; n < step.leaf_begin[v + 1]; ++n) sum += loss[n];
        return sum;
    });
}

// ---- softmax ----

// -log p_k = log sum exp(z - max) - (z_k - max)
struct SoftmaxRow {
    double log_rest, largest;
    double minus_log(double z) const { return log_rest - (z - largest); }
};

// Writes the probabilities of one row.
SoftmaxRow softmax_row(const float* z, int64_t classes, float* probabilities) {
    int64_t largest = 0;
    for (int64_t k = 1; k < classes; ++k)
        if (z[k] > z[largest]) largest = k;
    const VF shift = vf_set1(z[largest]);
    for (int64_t k = 0; k < classes; k += vf_width)
        vf_store(probabilities + k, vf_exp(vf_load(z + k, lanes_at(k, classes)) - shift), lanes_at(k, classes));
    double rest = 0;  // without the largest term, which is exactly 1, or NaN where the logit is infinite
    for (int64_t k = 0; k < classes; ++k) rest += k == largest ? 0 : static_cast<double>(probabilities[k]);
    const VF sum = vf_set1(static_cast<float>(static_cast<double>(probabilities[largest]) + rest));
    for (int64_t k = 0; k < classes; k += vf_width)
        vf_store(probabilities + k, vf_load(probabilities + k, lanes_at(k, classes)) / sum, lanes_at(k, classes));
    return {__builtin_log1p(rest), static_cast<double>(z[largest])};
}

double softmax_loss(const Loss& a, const SoftmaxRow& row, const float* z, int64_t classes, int32_t label,
                    const float* weight) {
    const double of_label = row.minus_log(static_cast<double>(z[label]));
    if (is_plain(a, weight)) return of_label;
    if (a.focal) return weight_of(weight, label) * focal_softmax(a, of_label);
    double loss = 0;
    for (int64_t k = 0; k < classes; ++k)
        loss +=
            share_of_loss(weight_of(weight, k) * smoothed(a, k == label, classes), row.minus_log(static_cast<double>(z[k])));
    return loss;
}

void softmax_slopes(const Loss& a, const float* p, int64_t classes, int32_t label, const float* weight, double scale,
                    float* d) {
    double factor = 0;  // of the probabilities
    if (a.focal) {
        double others = 0;
        for (int64_t k = 0; k < classes; ++k) others += k == label ? 0 : static_cast<double>(p[k]);
        factor = -weight_of(weight, label) * focal_softmax_factor(a, static_cast<double>(p[label]), others);
    } else {
        for (int64_t k = 0; k < classes; ++k) factor += weight_of(weight, k) * smoothed(a, k == label, classes);
    }
    for (int64_t k = 0; k < classes; ++k) {
        const double hot = a.focal ? (k == label ? factor : 0.0) : weight_of(weight, k) * smoothed(a, k == label, classes);
        d[k] = static_cast<float>((factor * static_cast<double>(p[k]) - hot) * scale);
    }
}

const float* weights_of_classes(const KernelArgs& args, int32_t operand) {
    return has_operand(args.in, args.n_in, operand) ? floats(args.in[operand]) : nullptr;
}
const Loss& loss_attributes(const KernelArgs& args) { return *static_cast<const Loss*>(args.attrs); }

void run_softmax(const KernelArgs& args, const Team& team) noexcept {
    const int64_t classes = args.in[0].dim[1];
    const auto* labels = static_cast<const int32_t*>(args.in[1].data);
    auto* probabilities = static_cast<float*>(args.out[1].data);
    auto* loss = static_cast<double*>(args.workspace);
    const Share rows = share_of(args.in[0].dim[0], team);
    for (int64_t n = rows.begin; n < rows.end; ++n) {
        const float* const z = floats(args.in[0]) + n * classes;
        const SoftmaxRow row = softmax_row(z, classes, probabilities + n * classes);
        loss[n] = softmax_loss(loss_attributes(args), row, z, classes, labels[n], weights_of_classes(args, 2));
    }
    team.barrier();
    if (team.rank == 0) *static_cast<double*>(args.out[0].data) = sum_of_losses(*args.step, loss);
}

void run_softmax_grad(const KernelArgs& args, const Team& team) noexcept {
    const int64_t classes = args.in[0].dim[1];
    const auto* labels = static_cast<const int32_t*>(args.in[1].data);
    const float* const weight = weights_of_classes(args, 2);
    const bool plain_loss = is_plain(loss_attributes(args), weight);
    const double scale = gradient_scale(*args.step);
    const Share rows = share_of(args.in[0].dim[0], team);
    for (int64_t n = rows.begin; n < rows.end; ++n) {
        const float* p = floats(args.in[0]) + n * classes;
        float* d = static_cast<float*>(args.out[0].data) + n * classes;
        if (!plain_loss) {
            softmax_slopes(loss_attributes(args), p, classes, labels[n], weight, scale, d);
            continue;
        }
        for (int64_t k = 0; k < classes; ++k)
            d[k] = static_cast<float>((static_cast<double>(p[k]) - (k == labels[n] ? 1.0 : 0.0)) * scale);
    }
}

// ---- binary ----

struct BceRow {
    const float *z, *target, *pos_weight;  // pos_weight may be null: 1
    float* probabilities;
    int64_t classes;
    const float* class_weight;  // may be null: 1
    const Loss& attributes;
};

// s(z) = 1 / (1 + e) or, for negative z, e / (1 + e), with e = exp(-|z|); log(1 + exp(-z)) = log1p(e) + max(-z, 0).
double bce_row(const BceRow& row) {
    const bool plain_loss = is_plain(row.attributes, row.class_weight);
    double loss = 0;
    for (int64_t first = 0; first < row.classes; first += vf_width) {
        const VM lanes = lanes_at(first, row.classes);
        const VF z = vf_load(row.z + first, lanes), e = vf_exp(vf_zero() - vf_max(z, vf_zero() - z));
        const VF numerator = vf_select(vm_greater(vf_zero(), z), e, vf_set1(1));
        vf_store(row.probabilities + first, numerator / (vf_set1(1) + e), lanes);
        float exponential[vf_width];
        vf_store(exponential, e);
        for (int64_t k = first; k < row.classes && k < first + vf_width; ++k) {
            const double logit = static_cast<double>(row.z[k]), t = static_cast<double>(row.target[k]);
            if (t < 0) continue;  // unknown
            const double weight = row.pos_weight ? static_cast<double>(row.pos_weight[k]) : 1.0;
            if (!plain_loss) {
                loss += weight_of(row.class_weight, k) * binary_loss(row.attributes, logit, t, weight);
                continue;
            }
            const double softplus =
                __builtin_log1p(static_cast<double>(exponential[k - first])) + (logit < 0 ? -logit : 0.0);
            loss += (1 - t) * logit + (1 + (weight - 1) * t) * softplus;
        }
    }
    return loss / static_cast<double>(row.classes);
}

void run_bce(const KernelArgs& args, const Team& team) noexcept {
    const int64_t classes = args.in[0].dim[1];
    const float* pos_weight = has_operand(args.in, args.n_in, 2) ? floats(args.in[2]) : nullptr;
    auto* loss = static_cast<double*>(args.workspace);
    const Share rows = share_of(args.in[0].dim[0], team);
    for (int64_t n = rows.begin; n < rows.end; ++n)
        loss[n] = bce_row({floats(args.in[0]) + n * classes, floats(args.in[1]) + n * classes, pos_weight,
                           static_cast<float*>(args.out[1].data) + n * classes, classes, weights_of_classes(args, 3),
                           loss_attributes(args)});
    team.barrier();
    if (team.rank == 0) *static_cast<double*>(args.out[0].data) = sum_of_losses(*args.step, loss);
}

void run_bce_grad(const KernelArgs& args, const Team& team) noexcept {
    const int64_t classes = args.in[0].dim[1];
    const float* pos_weight = has_operand(args.in, args.n_in, 2) ? floats(args.in[2]) : nullptr;
    const float* const class_weight = weights_of_classes(args, 3);
    const bool plain_loss = is_plain(loss_attributes(args), class_weight);
    const double scale = gradient_scale(*args.step) / static_cast<double>(classes);
    const Share rows = share_of(args.in[0].dim[0], team);
    for (int64_t n = rows.begin; n < rows.end; ++n)
        for (int64_t k = 0; k < classes; ++k) {
            const double s = static_cast<double>(floats(args.in[0])[n * classes + k]);
            const double t = static_cast<double>(floats(args.in[1])[n * classes + k]);
            const double weight = pos_weight ? static_cast<double>(pos_weight[k]) : 1.0;
            if (!plain_loss) {
                static_cast<float*>(args.out[0].data)[n * classes + k] = static_cast<float>(
                    weight_of(class_weight, k) * binary_slope(loss_attributes(args), s, t, weight) * scale);
                continue;
            }
            static_cast<float*>(args.out[0].data)[n * classes + k] =
                t < 0 ? 0.0f : static_cast<float>(((1 - t) * s - weight * t * (1 - s)) * scale);
        }
}

// Labels are i32, the loss is f64, everything else f32.
Support supports(const Problem& p) {
    const bool softmax = p.op == OpKind::softmax_cross_entropy || p.op == OpKind::softmax_cross_entropy_grad;
    const KernelTensor& row = p.out[p.n_out - 1];  // probabilities or dlogits
    const Support rows = both(dense_f32(p.in[0], Layout::plain), dense_f32(row, Layout::plain));
    const Support targets = softmax ? supported : dense_f32(p.in[1], Layout::plain);
    const Support weights = has_operand(p.in, p.n_in, 2) ? dense_f32(p.in[2], Layout::plain) : supported;
    return both(both(rows, targets), weights);
}

const Kernel rows[] = {
    {OpKind::softmax_cross_entropy, "rows", this_isa, supports, loss_workspace, run_softmax},
    {OpKind::softmax_cross_entropy_grad, "rows", this_isa, supports, nullptr, run_softmax_grad},
    {OpKind::bce_with_logits, "rows", this_isa, supports, loss_workspace, run_bce},
    {OpKind::bce_with_logits_grad, "rows", this_isa, supports, nullptr, run_bce_grad},
};

}  // namespace

KernelRows loss_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
