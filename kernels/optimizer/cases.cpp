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
    if (f.op == "square_sums")
        return {call(OpKind::square_sums, a, {flat}, {tensor({(f.size("n") + 15) / 16}, Layout::plain, DType::f64)})};
    if (f.op == "average_weights") return {call(OpKind::average_weights, a, {flat}, {flat})};
    if (f.op == "sgd") return {call(OpKind::sgd, a, {flat}, {flat, flat})};
    return {call(OpKind::adam, a, {flat}, {flat, flat, flat})};
}

// What is updated: parameters and momenta of any sign, a second moment that is not negative.
void fill_state(const Fill& fill) {
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
    const double gradient = std::fabs(element(initial.args().in[0], index));
    const double parameter = std::fabs(element(initial.args().out[0], index));
    const double now = std::fabs(element(oracle.args().out[output], index));
    if (output == 0) {  // a step's own terms cancel too
        const double momentum = std::fabs(element(initial.args().out[1], index));
        const auto rate = static_cast<double>(initial.args().step->learning_rate);
        return before + now + rate * (gradient + parameter + momentum);
    }
    return before + now + (output == 1 ? gradient + parameter : 0);
}

constexpr Magnitudes of_state{nullptr, state_magnitude};

}  // namespace

FolderCases optimizer_cases() {
    return {{
                {"adam", "eps= weight_decay= momentum= update= decoupled scale=", optimizer},
                {"sgd", "eps= weight_decay= momentum= update= nesterov scale=", optimizer},
                {"square_sums", "", optimizer},
                {"average_weights", "decay=", optimizer},
            },
            {
                {OpKind::adam, fill_state, of_state, false, 16, no_operator},
                {OpKind::sgd, fill_state, of_state, false, 16, no_operator},
                {OpKind::square_sums, nullptr, of_result, true, 0, no_operator},
                {OpKind::average_weights, fill_state, of_state, false, 16, no_operator},
            }};
}

}  // namespace xbench
