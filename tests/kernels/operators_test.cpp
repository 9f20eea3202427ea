// What every operator's row must say, and that no kernel computes an attribute which it does not know.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "kernels/cases/calls.h"
#include "kernels/run.h"
#include "problems.h"

namespace xbench {
namespace {

template <class F>
void for_each_operator(F&& f) {
    for (int op = 0; op < static_cast<int>(OpKind::count_); ++op) f(static_cast<OpKind>(op));
}

TEST(Operators, EachHasARowOfItsOwnFolder) {
    for_each_operator([](OpKind op) {
        EXPECT_NO_THROW(EXPECT_EQ(op_def(op).op, op)) << name_of(op);
        EXPECT_FALSE(operands_of(op).in.empty() || operands_of(op).out.empty()) << name_of(op);
    });
}

TEST(Operators, EachThatKernelsComputeSaysHowItIsTested) {
    for_each_operator([](OpKind op) {
        if (!op_def(op).reference) return;
        EXPECT_NO_THROW(EXPECT_EQ(testing_of(op).op, op)) << name_of(op);
        const auto& problems = all_problems();
        EXPECT_TRUE(std::any_of(problems.begin(), problems.end(), [op](const LayerProblem& p) { return p.op == op; }))
            << name_of(op) << " has no line in the problems.cfg of its folder";
    });
}

// The operands of a call are those that its operator's row names: as many, absent only where they may be, and images where
// it says so.
TEST(Operators, CallsHaveTheOperandsOfTheirRow) {
    for (const LayerProblem& problem : all_problems()) {
        const Operands& operands = operands_of(problem.op);
        const auto compare = [&](const std::vector<KernelTensor>& tensors, const std::vector<Operand>& names) {
            ASSERT_LE(tensors.size(), names.size()) << problem.text();
            for (size_t i = 0; i < names.size(); ++i) {
                const bool present = i < tensors.size() && tensors[i].rank > 0;
                EXPECT_TRUE(present || names[i].optional) << problem.text() << ": " << names[i].name;
                if (!present || !names[i].per_image) continue;
                EXPECT_EQ(tensors[i].dim[0], problem.images()) << problem.text() << ": " << names[i].name;
            }
        };
        compare(problem.in, operands.in);
        compare(problem.out, operands.out);
    }
}

// Attributes of a call with one activation or type of products that no operator has.
std::vector<std::pair<const char*, LayerProblem>> with_unknown(const LayerProblem& problem) {
    std::vector<std::pair<const char*, LayerProblem>> all;
    const auto add = [&](const char* word, auto&& change) {
        LayerProblem changed = problem;
        change(changed.attrs);
        all.emplace_back(word, changed);
    };
    constexpr auto unknown = static_cast<Activation>(7);
    const auto norm = [&](auto&& norm_of) {
        add("activation", [&](Attrs& a) { norm_of(a).activation = unknown; });
        add("activation of the input", [&](Attrs& a) { norm_of(a).input_activation = unknown; });
    };
    const auto multiplies = [&](auto&& part_of) {
        add("activation", [&](Attrs& a) { part_of(a).activation = unknown; });
        add("products", [&](Attrs& a) { part_of(a).products = DType::f64; });
    };
    if (std::get_if<Conv2d>(&problem.attrs)) multiplies([](Attrs& a) -> Conv2d& { return std::get<Conv2d>(a); });
    if (std::get_if<Linear>(&problem.attrs)) multiplies([](Attrs& a) -> Linear& { return std::get<Linear>(a); });
    if (std::get_if<Conv2dPool>(&problem.attrs))
        multiplies([](Attrs& a) -> Conv2d& { return std::get<Conv2dPool>(a).conv; });
    if (std::get_if<Conv2dBatchNormPool>(&problem.attrs)) {
        multiplies([](Attrs& a) -> Conv2d& { return std::get<Conv2dBatchNormPool>(a).conv; });
        norm([](Attrs& a) -> BatchNorm& { return std::get<Conv2dBatchNormPool>(a).pool.norm; });
    }
    if (std::get_if<BatchNorm>(&problem.attrs)) norm([](Attrs& a) -> BatchNorm& { return std::get<BatchNorm>(a); });
    if (std::get_if<BatchNormPool>(&problem.attrs))
        norm([](Attrs& a) -> BatchNorm& { return std::get<BatchNormPool>(a).norm; });
    if (std::get_if<Elementwise>(&problem.attrs) && op_def(problem.op).attributes)
        add("activation", [&](Attrs& a) { std::get<Elementwise>(a).activation = unknown; });
    return all;
}

TEST(Operators, NoRowTakesAnUnknownAttributeForNone) {
    int refusals = 0;
    for (const LayerProblem& problem : all_problems())
        for (const Kernel& row : kernel_table()) {
            if (row.op != problem.op || !supports(row, problem.problem())) continue;
            for (const auto& [word, changed] : with_unknown(problem)) {
                const Support support = supports(row, changed.problem());
                ASSERT_FALSE(support) << row_name(row) << " with an unknown " << word << "\n  " << problem.text();
                EXPECT_STREQ(support.why_not, word) << row_name(row);
                ++refusals;
            }
        }
    EXPECT_GT(refusals, 1000);
}

// A gradient knows of no activation: it is a pass of its own, or it has been folded into another one.
TEST(Operators, GradientsOfConvolutionsRefuseAnActivation) {
    for (const char* line : {"conv2d n2 c4 h8 k8 r3 pad1", "linear n2 f8 k4"})
        for (LayerProblem problem : parse_problem(line, "test")) {
            if (testing_of(problem.op).adjoint_of == no_operator) continue;
            if (auto* conv = std::get_if<Conv2d>(&problem.attrs)) conv->activation = Activation::relu;
            if (auto* linear = std::get_if<Linear>(&problem.attrs)) linear->activation = Activation::relu;
            for (const Kernel& row : kernel_table())
                EXPECT_FALSE(row.op == problem.op && supports(row, problem.problem())) << row_name(row);
        }
}

TEST(Operators, ARefusalNamesWhatEachRowLacks) {
    LayerProblem layer = parse_problem("conv2d n2 c4 h12 k16 r3 stride2", "test").front();
    const Choice winograd{"conv2d", "winograd43"};
    try {
        select(layer.problem(), Target{}, {&winograd, 1});
        FAIL() << "Winograd has no strides";
    } catch (const Error& error) {
        for (const char* part : {"winograd43", "refuses: stride", "refuses: products", "refuses: filter size"})
            EXPECT_THAT(error.what(), testing::HasSubstr(part));
    }
    std::get<Conv2d>(layer.attrs).activation = static_cast<Activation>(7);
    try {
        select(layer.problem(), Target{});
        FAIL() << "there is no such activation";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("reference (portable) refuses: activation"));
    }
}

// x, and y and dy/dx of PyTorch's gelu and silu, computed from their formulas in double precision.
struct ActivationValue {
    double x, gelu, gelu_slope, silu, silu_slope;
};
constexpr ActivationValue activation_values[] = {
    {-6, -5.9195258702262067e-09, -3.5468709453902015e-08, -0.014835738939808645, -0.012326432591525513},
    {-3, -0.004049694094890287, -0.011945647204183927, -0.14227761953270035, -0.088104106015169617},
    {-1, -0.15865525393145707, -0.083315470587686291, -0.2689414213699951, 0.072329488128513253},
    {-0.5, -0.15426876936299344, 0.13250487534383712, -0.1887703343990727, 0.26003881269734819},
    {0, 0, 0.5, 0, 0.5},
    {0.5, 0.34573123063700656, 0.86749512465616285, 0.3112296656009273, 0.73996118730265192},
    {1, 0.84134474606854293, 1.0833154705876864, 0.7310585786300049, 0.92767051187148686},
    {3, 2.9959503059051098, 1.0119456472041839, 2.8577223804673002, 1.0881041060151693},
    {6, 5.9999999940804738, 1.0000000354687093, 5.9851642610601923, 1.0123264325915249},
};

void expect_values(const Kernel& row, const LayerProblem& problem, double ActivationValue::*expected) {
    const bool gradient = problem.in.size() == 2;
    ProblemData data(problem, DataKind::random, 1);
    const int64_t count = elements_of(data.args().out[0]);
    for (int64_t i = 0; i < count; ++i) {
        set_element(data.args().in[gradient], i, activation_values[i % 9].x);
        if (gradient) set_element(data.args().in[0], i, 1);
    }
    run_kernel(row, data.args(), 2);
    for (int64_t i = 0; i < count; ++i) {
        const double want = activation_values[i % 9].*expected, got = element(data.args().out[0], i);
        // Relative in the left tails too.
        EXPECT_NEAR(got, want, 2e-6 * std::fabs(want) + 1e-12) << row_name(row) << " at " << activation_values[i % 9].x;
    }
}

TEST(Activations, HaveTheValuesAndSlopesOfPyTorchsFormulas) {
    const std::pair<const char*, std::pair<double ActivationValue::*, double ActivationValue::*>> lines[] = {
        {"gelu n1 f27", {&ActivationValue::gelu, &ActivationValue::gelu_slope}},
        {"silu n1 f27", {&ActivationValue::silu, &ActivationValue::silu_slope}}};
    for (const auto& [line, expected] : lines)
        for (const LayerProblem& problem : parse_problem(line, "test"))
            for (const Kernel* row : rows_for(problem))
                expect_values(*row, problem, problem.in.size() == 1 ? expected.first : expected.second);
}

// PyTorch: an infinite input is itself on the right, and not a number on the left (minus infinity times zero).
TEST(Activations, PassOnWhatIsNotFinite) {
    for (const char* line : {"gelu n1 f19", "silu n1 f19"}) {
        const LayerProblem problem = parse_problem(line, "test").front();
        for (const Kernel* row : rows_for(problem)) {
            ProblemData data(problem, DataKind::random, 1);
            set_element(data.args().in[0], 3, NAN);
            set_element(data.args().in[0], 17, INFINITY);
            set_element(data.args().in[0], 18, -200);
            run_kernel(*row, data.args(), 1);
            EXPECT_TRUE(std::isnan(element(data.args().out[0], 3))) << row_name(*row);
            EXPECT_EQ(element(data.args().out[0], 17), INFINITY) << row_name(*row);
            EXPECT_NEAR(element(data.args().out[0], 18), 0, 1e-30) << row_name(*row);
            EXPECT_TRUE(std::isfinite(element(data.args().out[0], 4))) << row_name(*row);
        }
    }
}

}  // namespace
}  // namespace xbench
