// Differences and their bounds.
#include "kernels/cases/compare.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cases/op_cases.h"
#include "kernels/registry.h"
#include "kernels/run.h"

namespace xbench {
namespace {

constexpr double eps = 1.0 / 16777216;  // 2^-24

// "[n 3, c 0, h 1, w 7]"
std::string place(const KernelTensor& t, int64_t index) {
    std::string text;
    for (int axis = t.rank - 1; axis >= 0; --axis) {
        text = std::to_string(index % t.dim[axis]) + (text.empty() ? "" : ", ") + text;
        index /= t.dim[axis];
    }
    return "[" + text + "]";
}

void merge(Comparison& all, const Comparison& one) {
    all.worst = std::max(all.worst, one.worst);
    all.max_error = std::max(all.max_error, one.max_error);
    all.max_relative_error = std::max(all.max_relative_error, one.max_relative_error);
    if (all.ok && !one.ok) all.message = one.message;
    all.ok = all.ok && one.ok;
}

// What each element's error is measured by, before eps.
std::vector<double> magnitudes_of(const KernelTensor& expected, const KernelTensor* scale, bool by_plane) {
    std::vector<double> all(static_cast<size_t>(elements_of(expected)));
    for (size_t i = 0; i < all.size(); ++i) {
        const auto at = static_cast<int64_t>(i);
        all[i] = std::max(scale ? std::fabs(element(*scale, at)) : 0.0, std::fabs(element(expected, at)));
    }
    const auto plane = by_plane && expected.rank == 4 ? static_cast<size_t>(expected.dim[2] * expected.dim[3]) : 1;
    for (size_t i = 0; i + plane <= all.size(); i += plane) {
        const auto begin = all.begin() + static_cast<std::ptrdiff_t>(i), end = begin + static_cast<std::ptrdiff_t>(plane);
        std::fill(begin, end, *std::max_element(begin, end));
    }
    return all;
}

}  // namespace

Comparison compare_output(const ProblemData& actual, const ProblemData& oracle, const ProblemData* scale, int output,
                          double k, bool by_plane) {
    const KernelTensor &y = actual.args().out[output], &expected = oracle.args().out[output];
    const std::vector<double> magnitudes = magnitudes_of(expected, scale ? &scale->args().out[output] : nullptr, by_plane);
    Comparison result;
    double largest = 0;
    int64_t worst_index = -1;
    bool bad_number = false;
    for (int64_t i = 0; i < elements_of(y) && !bad_number; ++i) {
        const double want = element(expected, i), got = element(y, i), error = std::fabs(got - want);
        const double magnitude = magnitudes[static_cast<size_t>(i)];
        bad_number = !std::isfinite(got) || !std::isfinite(want) || !std::isfinite(magnitude);
        largest = std::max(largest, std::fabs(want));
        result.max_error = std::max(result.max_error, error);
        const double ratio = error == 0 ? 0 : error / (eps * std::max(magnitude, 1e-30));
        if (bad_number || ratio > result.worst || worst_index < 0) worst_index = i;
        result.worst = std::max(result.worst, ratio);
    }
    result.max_relative_error = largest > 0 ? result.max_error / largest : result.max_error;
    result.ok = !bad_number && result.worst <= k && padding_is_zero(y);
    if (result.ok) return result;
    if (!padding_is_zero(y)) {
        result.message = fmt::format("output {}: the channel padding is not zero", output);
    } else {
        result.message =
            fmt::format("output {} at {}: {:.9g}, expected {:.9g}; off by {:.3g} eps of its magnitude, {} allowed", output,
                        place(y, worst_index), element(y, worst_index), element(expected, worst_index),
                        bad_number ? INFINITY : result.worst, k);
    }
    return result;
}

Oracle::Oracle(const ProblemData& data, bool magnitudes)
    : expected(data.in_double()), scale(data.magnitudes()), with_magnitudes(magnitudes) {
    const Kernel& row = reference(data.problem().op);
    run_kernel(row, expected.args(), 2);
    if (!with_magnitudes) return;
    const Magnitudes of = testing_of(row.op).magnitudes;
    if (!of.element) {
        run_kernel(row, scale.args(), 2);
        return;
    }
    const ProblemData initial = data.in_double();
    for (int output = 0; output < data.args().n_out; ++output)
        for (int64_t i = 0; i < elements_of(scale.args().out[output]); ++i)
            set_element(scale.args().out[output], i, of.element(expected, initial, output, i));
}

Comparison compare(const ProblemData& actual, const Kernel& kernel, const Oracle& oracle, double k) {
    Comparison all;
    for (int output = 0; output < actual.args().n_out; ++output) {
        const bool exact = actual.args().out[output].dtype == DType::u8;
        merge(all, compare_output(actual, oracle.expected, oracle.with_magnitudes ? &oracle.scale : nullptr, output,
                                  exact ? 0 : k, kernel.error_growth != 1));
    }
    if (!actual.guards_intact()) {
        all.ok = false;
        all.message = "wrote past the end of an operand";
    }
    return all;
}

Comparison check_kernel(const Kernel& kernel, const ProblemData& data, const Oracle& oracle, int threads, double k) {
    ProblemData actual(data);
    actual.reset_outputs();
    run_kernel(kernel, actual.args(), threads);
    return compare(actual, kernel, oracle, k);
}

// Rounding errors of a sum of many terms mostly cancel: in units of eps * sum |terms| a few are enough at any length.
double tolerance_of(const LayerProblem& problem) {
    const double rounded_once = folded_dropout(problem) > 0 ? 1 : 0;
    return std::max<double>(testing_of(problem.op).tolerance, rounded_once);
}

// Products in the largest sum of a convolution or of one of its gradients.
static double products_in_a_sum(const LayerProblem& problem) {
    const KernelTensor &a = problem.in[0], &b = problem.in[1];
    const auto taps = static_cast<double>(std::min(a.dim[2], b.dim[2]) * std::min(a.dim[3], b.dim[3]));
    // Filters' gradients are summed over images, everything else over the channels that are read.
    const bool over_channels = operands_of(problem.op).out[0].per_image;
    return static_cast<double>(over_channels ? a.dim[1] : a.dim[0]) * taps;
}

// An algorithm that grows errors is Winograd's: a tile always makes up to 36 products of transformed numbers and adds them
// up, whatever is in it. Their errors have random signs. Those of a sum of L products grow like sqrt(L) while its magnitude
// grows like L, down to the 36 of one tile: a sum of fewer (one pixel of dy in a tile of 4x4) has the errors of 36 and may
// be off by sqrt(36 / L) times as much. (One pixel: 66 eps of |x dy| were seen in f32, and F(4x4, 3x3)'s transforms amplify
// one rounding by up to 9.27^2 = 86.)
double tolerance_of(const LayerProblem& problem, const Kernel& kernel) {
    const double k = tolerance_of(problem) * kernel.error_growth;
    return kernel.error_growth == 1 ? k : k * std::sqrt(36 / std::min(36.0, products_in_a_sum(problem)));
}

std::string why_uninformative(const KernelTensor& expected) {
    const int64_t count = elements_of(expected);
    std::vector<double> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(element(expected, i));
    std::sort(values.begin(), values.end());
    int64_t run = 0, longest = 0;  // of equal values
    double common = 0;
    for (size_t i = 0; i < values.size(); ++i) {
        run = i > 0 && values[i] == values[i - 1] ? run + 1 : 1;
        if (run > longest) longest = run, common = values[i];
    }
    if (count >= 10 && longest > count * 9 / 10)
        return fmt::format("{} of {} expected values are {}", longest, count, common);
    if (count > 0 && longest == count && common == 0) return "all expected values are 0";
    return "";
}

}  // namespace xbench
