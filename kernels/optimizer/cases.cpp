// Optimizers over n elements of the flat buffer.
#include "kernels/cases/calls.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

std::vector<LayerProblem> optimizer(const ProblemFields& f) {
    Optimizer a{};
    a.beta1 = 0.9f, a.beta2 = 0.999f;
    a.eps = static_cast<float>(f.real("eps", 1e-8)), a.weight_decay = static_cast<float>(f.real("weight_decay", 0));
    a.momentum = static_cast<float>(f.real("momentum", 0.9));
    a.decoupled = f.has("decoupled"), a.nesterov = f.has("nesterov");
    a.gradient_scale = static_cast<float>(f.real("scale", 1)), a.average_decay = static_cast<float>(f.real("decay", 0));
    const KernelTensor flat = tensor({f.size("n")});
    std::vector<KernelTensor> in{flat};
    if (f.has("scaled")) in.push_back(tensor({scaling_elements}));
    if (f.op == "square_sums")
        return {call(OpKind::square_sums, a, {flat}, {tensor({(f.size("n") + 15) / 16}, Layout::plain, DType::f64)})};
    if (f.op == "average_weights") return {call(OpKind::average_weights, a, in, {flat})};
    if (f.op == "sgd") return {call(OpKind::sgd, a, in, {flat, flat})};
    return {call(OpKind::adam, a, in, {flat, flat, flat})};
}

std::vector<LayerProblem> loss_scaling(const ProblemFields& f) {
    const LossScaling a{2, 0.5f, static_cast<int32_t>(f.real("interval", 2000))};
    const KernelTensor scaling = tensor({scaling_elements});
    return {call(OpKind::find_overflow, a, {tensor({f.size("n")}), scaling}, {scaling}),
            call(OpKind::update_loss_scale, a, {scaling}, {scaling})};
}

// Odd numbers of gradients overflow.
bool overflows(int64_t gradients) { return gradients % 2 == 1; }

constexpr double tried_scale = 1024, good_updates = 6;

void fill_scaling(const KernelTensor& scaling, double skipped, bool overflow) {
    set_element(scaling, scaling_scale, tried_scale), set_element(scaling, scaling_good, good_updates);
    set_element(scaling, scaling_skipped, skipped), set_element(scaling, scaling_overflow, overflow ? 1 : 0);
}

// An infinity or a NaN somewhere.
void fill_overflow(const Fill& fill) {
    const int64_t count = fill.args.in[0].dim[0];
    if (overflows(count)) set_element(fill.args.in[0], count * 2 / 3, count % 4 == 1 ? -INFINITY : NAN);
    fill_scaling(fill.args.in[1], 3, false);
}
// Where more updates were good than make the scale grow, this one overflowed.
void fill_update(const Fill& fill) {
    const auto interval = static_cast<const LossScaling*>(fill.args.attrs)->growth_interval;
    fill_scaling(fill.args.in[0], 3, good_updates > interval);
}

// What is updated: parameters and momenta of any sign, a second moment that is not negative.
void fill_state(const Fill& fill) {
    if (fill.args.n_in > 1) {
        transform(fill.args.in[0], [](double v) { return v * tried_scale; });
        fill_scaling(fill.args.in[1], fill.args.step->update > 1 ? 1 : 0, overflows(fill.args.in[0].dim[0]));
    }
    for (int i = 0; i < fill.args.n_out; ++i) {
        Random random(fill.seed, RandomUse::test_data, static_cast<uint32_t>(10 + i));
        transform(fill.args.out[i], [&](double) {
            const double value = static_cast<double>(random.uniform(-1, 1));
            return i == 2 ? 0.01 + value * value : value;
        });
    }
}

// An element comes from its former value and a step, which may cancel.
double state_magnitude(const ProblemData& oracle, const ProblemData& initial, int output, int64_t index) {
    const double before = std::fabs(element(initial.args().out[output], index));
    const double scale = initial.args().n_in > 1 ? tried_scale : 1;
    const double gradient = std::fabs(element(initial.args().in[0], index)) / scale;
    const double parameter = std::fabs(element(initial.args().out[0], index));
    const double now = std::fabs(element(oracle.args().out[output], index));
    if (output == 0) {  // a step's own terms cancel too
        const bool moments = initial.args().n_out > 1;
        const double momentum = moments ? std::fabs(element(initial.args().out[1], index)) : 0;
        const auto rate = static_cast<double>(initial.args().step->learning_rate);
        return before + now + rate * (gradient + parameter + momentum);
    }
    return before + now + (output == 1 ? gradient + parameter : 0);
}

constexpr Magnitudes of_state{nullptr, state_magnitude};

}  // namespace

FolderCases optimizer_cases() {
    return {{
                {"adam", "eps= weight_decay= momentum= update= decoupled scale= scaled", optimizer},
                {"sgd", "eps= weight_decay= momentum= update= nesterov scale= scaled", optimizer},
                {"square_sums", "", optimizer},
                {"average_weights", "decay= scaled", optimizer},
                {"loss_scaling", "interval=", loss_scaling},
            },
            {
                {OpKind::adam, fill_state, of_state, false, 16, no_operator},
                {OpKind::sgd, fill_state, of_state, false, 16, no_operator},
                {OpKind::square_sums, nullptr, of_result, true, 0, no_operator},
                {OpKind::average_weights, fill_state, of_state, false, 16, no_operator},
                {OpKind::find_overflow, fill_overflow, of_result, false, 0, no_operator},
                {OpKind::update_loss_scale, fill_update, of_result, false, 0, no_operator},
            }};
}

}  // namespace xbench
