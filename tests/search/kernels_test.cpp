// Random problems of every operator: each row that supports one agrees with the double-precision reference, writes all of
// its outputs and nothing else (guard pages, two fills), gives the same bits with any number of threads, and loses no NaN or
// infinity that the reference shows.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>

#include "guarded_memory.h"
#include "kernels/cases/compare.h"
#include "kernels/run.h"
#include "kernels/team.h"
#include "random_problems.h"
#include "tests/kernels/problems.h"

namespace xbench::test {
namespace {

bool is_optimizer(OpKind op) { return op == OpKind::adam || op == OpKind::sgd; }
bool is_float(const KernelTensor& t) { return t.rank > 0 && (t.dtype == DType::f32 || t.dtype == DType::f64); }

// How a call is tried: none of it may show in the result.
struct Way {
    int threads;
    bool at_end;
    int output_fill, workspace_fill;
};

// One call in guarded memory.
struct GuardedCall {
    GuardedCall(const Kernel& kernel, const ProblemData& data, const Way& way) : args(data.args()) {
        const bool in_place = args.op == OpKind::batchnorm_finalize;  // running statistics
        for (int i = 0; i < args.n_in; ++i) {
            KernelTensor& t = args.in[i];
            in.emplace_back(t.rank > 0 ? static_cast<size_t>(stored_bytes_of(t)) : 0, way.at_end);
            if (t.rank > 0) std::memcpy(in.back().data(), t.data, in.back().bytes());
            t.data = t.rank > 0 ? in.back().data() : nullptr;
        }
        for (int i = 0; i < args.n_out; ++i) {
            KernelTensor& t = args.out[i];
            out.emplace_back(static_cast<size_t>(stored_bytes_of(t)), way.at_end);
            if (is_optimizer(args.op))
                std::memcpy(out.back().data(), t.data, out.back().bytes());
            else
                std::memset(out.back().data(), way.output_fill, out.back().bytes());
            t.data = in_place && i > 0 ? args.in[i].data : out.back().data();
        }
        const size_t bytes = kernel.workspace ? kernel.workspace(args, way.threads) : 0;
        workspace = std::make_unique<GuardedMemory>(bytes, way.at_end);
        std::memset(workspace->data(), way.workspace_fill, bytes);
        args.workspace = bytes > 0 ? workspace->data() : nullptr;
        run_team(way.threads, [&](const Team& team) { kernel.run(args, team); });
    }
    std::string output(int i) const {
        return {static_cast<const char*>(args.out[i].data), static_cast<size_t>(stored_bytes_of(args.out[i]))};
    }
    std::string what_was_touched(const ProblemData& data) const {
        for (int i = 0; i < args.n_in; ++i) {
            if (!in[static_cast<size_t>(i)].intact()) return fmt::format("wrote beyond input {}", i);
            if (args.in[i].rank == 0 || (args.op == OpKind::batchnorm_finalize && i > 0)) continue;
            if (std::memcmp(args.in[i].data, data.args().in[i].data, in[static_cast<size_t>(i)].bytes()) != 0)
                return fmt::format("changed input {}", i);
        }
        for (int i = 0; i < args.n_out; ++i)
            if (!out[static_cast<size_t>(i)].intact()) return fmt::format("wrote beyond output {}", i);
        return workspace->intact() ? "" : "wrote beyond the workspace";
    }

    KernelArgs args;
    std::vector<GuardedMemory> in, out;
    std::unique_ptr<GuardedMemory> workspace;
};

// Positions in windows and what follows from them may differ where two values nearly tie.
bool few_near_ties(const ProblemData& actual, const ProblemData& expected, int output) {
    const KernelTensor &y = actual.args().out[output], &e = expected.args().out[output];
    int64_t different = 0;
    for (int64_t i = 0; i < elements_of(y); ++i) different += element(y, i) != element(e, i);
    return different <= 2 + elements_of(y) / 2000;
}

void expect_reference(const Kernel& kernel, const ProblemData& data, const GuardedCall& call, const Oracle& oracle,
                      DataKind kind) {
    ProblemData actual(data);
    for (int i = 0; i < data.args().n_out; ++i)
        std::memcpy(actual.args().out[i].data, call.args.out[i].data,
                    static_cast<size_t>(stored_bytes_of(call.args.out[i])));
    const bool exact = kind == DataKind::exact && kernel.error_growth == 1;
    for (int i = 0; i < data.args().n_out; ++i) {
        const bool places = data.args().out[i].dtype == DType::u8;
        if (places && kind == DataKind::exact && kernel.error_growth != 1) continue;  // many ties
        const double k = places || exact ? 0 : tolerance_of(data.problem(), kernel);
        const Comparison result = compare_output(actual, oracle.expected, &oracle.scale, i, k, kernel.error_growth != 1);
        if (!result.ok && places && padding_is_zero(data.args().out[i]) && few_near_ties(actual, oracle.expected, i))
            continue;
        EXPECT_TRUE(result.ok) << (exact ? "exact: " : "") << result.message;
    }
}

// The rows in f32 show what the reference shows where one element, or a whole operand, is not finite.
struct NotFinite {
    int operand = -1;
    int64_t at = -1;  // -1: all of it
    double value = std::numeric_limits<double>::quiet_NaN();

    void put_into(ProblemData& data) const {
        const KernelTensor& t = data.args().in[operand];
        for (int64_t i = at < 0 ? 0 : at; i < (at < 0 ? elements_of(t) : at + 1); ++i) set_element(t, i, value);
        data.reset_outputs();
    }
    std::string text() const {
        return fmt::format("operand {} {} = {}", operand, at < 0 ? "everywhere" : fmt::format("at {}", at), value);
    }
};

std::vector<NotFinite> draw_not_finite(Draw& draw, const ProblemData& data) {
    std::vector<int> operands;
    for (int i = 0; i < data.args().n_in; ++i)
        if (is_float(data.args().in[i])) operands.push_back(i);
    if (operands.empty() || is_optimizer(data.args().op)) return {};
    const auto operand = [&] { return operands[static_cast<size_t>(draw.whole(0, std::ssize(operands) - 1))]; };
    NotFinite one{operand(), 0}, all{operand(), -1};
    one.at = draw.whole(0, elements_of(data.args().in[one.operand]) - 1);
    // Of the element's sign: no reciprocal of a standard deviation is negative.
    if (draw.chance(.4)) one.value = std::copysign(HUGE_VAL, element(data.args().in[one.operand], one.at));
    return {one, all};
}

// Operators that no operand of NaN can leave without a trace: all but gradients, whose masks let nothing through, and
// convolutions, which may see only padding.
bool always_shows(const LayerProblem& problem) {
    switch (problem.op) {
        case OpKind::relu:
        case OpKind::add:
        case OpKind::accumulate:
        case OpKind::max_pool2d:
        case OpKind::avg_pool2d:
        case OpKind::global_avg_pool:
        case OpKind::linear:
        case OpKind::batchnorm_statistics:
        case OpKind::batchnorm_finalize:
        case OpKind::batchnorm_apply:
        case OpKind::batchnorm_pool_apply:
        case OpKind::softmax_cross_entropy:
        case OpKind::bce_with_logits: return folded_dropout(problem) == 0;
        default: return false;
    }
}

bool shows(const ProblemData& data) {
    for (int i = 0; i < data.args().n_out; ++i)
        for (int64_t k = 0; is_float(data.args().out[i]) && k < elements_of(data.args().out[i]); ++k)
            if (!std::isfinite(element(data.args().out[i], k))) return true;
    return false;
}

void expect_not_lost(const Kernel& kernel, const ProblemData& data, const NotFinite& what, const ProblemData& expected) {
    ProblemData run(data);
    what.put_into(run);
    run_kernel(kernel, run.args(), 1);
    for (int i = 0; i < run.args().n_out; ++i) {
        const KernelTensor &y = run.args().out[i], &e = expected.args().out[i];
        if (!is_float(y)) continue;
        int64_t lost = 0;
        for (int64_t k = 0; k < elements_of(y); ++k) lost += std::isfinite(element(y, k)) && !std::isfinite(element(e, k));
        EXPECT_EQ(lost, 0) << what.text() << ": elements of output " << i << " that are finite and should not be";
    }
}

void try_row(const Kernel& kernel, const ProblemData& data, const Oracle& oracle, DataKind kind, int threads) {
    const GuardedCall call(kernel, data, {1, true, 0xFF, 0xFF});
    EXPECT_EQ(call.what_was_touched(data), "");
    for (const Way& way : {Way{2, false, 0x41, 0x41}, Way{threads, true, 0x00, 0xC2}}) {
        const GuardedCall other(kernel, data, way);
        EXPECT_EQ(other.what_was_touched(data), "") << way.threads << " threads";
        for (int i = 0; i < data.args().n_out; ++i)
            EXPECT_TRUE(call.output(i) == other.output(i))
                << "output " << i << " has other bits with " << way.threads << " threads, or keeps what was in memory";
    }
    expect_reference(kernel, data, call, oracle, kind);
}

void try_problem(Draw& draw, LayerProblem& problem) {
    problem.leaf_begin = random_leaves(draw, problem.images());
    const DataKind kind = is_exact(problem) && draw.chance(.5) ? DataKind::exact : DataKind::random;
    const ProblemData data(problem, kind, static_cast<uint64_t>(draw.whole(1, 1000000)));
    const Oracle oracle(data, true);
    const int threads = static_cast<int>(draw.one_of<int64_t>({3, 3, 3, 7}));
    const std::vector<NotFinite> wrong_numbers = draw_not_finite(draw, data);
    for (const Kernel* kernel : rows_for(problem)) {
        SCOPED_TRACE(row_name(*kernel) + "\n  " + problem.text());
        try_row(*kernel, data, oracle, kind, threads);
    }
    for (const NotFinite& what : wrong_numbers) {
        ProblemData expected(data);
        what.put_into(expected);
        run_kernel(reference(problem.op), expected.args(), 1);
        if (what.at < 0 && always_shows(problem)) {
            EXPECT_TRUE(shows(expected)) << "the reference loses " << what.text() << "\n  " << problem.text();
        }
        for (const Kernel* kernel : rows_for(problem)) {
            SCOPED_TRACE(row_name(*kernel) + "\n  " + problem.text());
            expect_not_lost(*kernel, data, what, expected);
        }
    }
}

TEST(SearchKernels, RandomProblemsOfEveryOperator) {
    Search search(SearchBudget(50));
    while (search.more() && !HasFailure()) {
        Draw draw = search.draw();
        const std::string line = random_problem_line(draw);
        search.announce(line);
        for (LayerProblem& problem : parse_problem(line, "search")) try_problem(draw, problem);
        if (HasFailure()) fmt::print("again: XBENCH_SEARCH_CASE={}\n", search.number());
    }
}

}  // namespace
}  // namespace xbench::test
