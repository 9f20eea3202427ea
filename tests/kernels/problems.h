// What the tests of the kernels share: the problems of all operators (but those for timing only), the instruction set of
// this machine, readable names, sums over operands.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "core/hardware.h"
#include "kernels/cases/problem_data.h"
#include "kernels/cases/problem_list.h"
#include "kernels/registry.h"

namespace xbench {

inline const std::vector<LayerProblem>& all_problems() {
    static const std::vector<LayerProblem> problems = [] {
        auto all = load_all_problems(std::string(XB_SOURCE_DIR) + "/kernels");
        std::erase_if(all, [](const LayerProblem& problem) { return problem.bench_only; });
        return all;
    }();
    return problems;
}

inline bool runs_here(const Kernel& kernel) { return runs_on(kernel, Target{best_isa()}); }

inline std::string row_name(const Kernel& kernel) {
    return std::string(name_of(kernel.op)) + " " + kernel.name + " (" + place_of(kernel) + ")";
}

inline bool is_reference(const Kernel& kernel) { return &kernel == &reference(kernel.op); }

// Images in nhwc, filters as they are: what a plan on tensor cores has.
inline LayerProblem with_plain_filters(LayerProblem problem) {
    switch (problem.op) {
        case OpKind::conv2d:
        case OpKind::conv2d_dgrad:
        case OpKind::conv2d_statistics:
        case OpKind::conv2d_pool: problem.in[1].layout = Layout::plain; break;
        case OpKind::conv2d_wgrad: problem.out[0].layout = Layout::plain; break;
        default: break;
    }
    return problem;
}

// A convolution, with what follows it, or its filter gradient with x and filters as they are and all other images in nhwc: a
// first layer of a plan in nhwc.
inline LayerProblem as_first_layer(LayerProblem problem) {
    bool forward = false, gradient = false;
    switch (problem.op) {
        case OpKind::conv2d:
        case OpKind::conv2d_statistics:
        case OpKind::conv2d_pool: forward = true; break;
        case OpKind::conv2d_wgrad:
        case OpKind::conv2d_pool_wgrad:
        case OpKind::conv2d_batchnorm_pool_wgrad: gradient = true; break;
        default: return problem;
    }
    const auto turn = [](KernelTensor& image) {
        if (image.rank == 4 && image.layout == Layout::plain) image.layout = Layout::nhwc;
    };
    for (size_t i = 0; forward && i < problem.out.size(); ++i) turn(problem.out[i]);
    for (size_t i = 1; gradient && i < problem.in.size(); ++i) turn(problem.in[i]);
    return problem;
}

// The rows that support a problem and can run here.
inline std::vector<const Kernel*> rows_for(const LayerProblem& problem) {
    std::vector<const Kernel*> rows;
    for (const Kernel& kernel : kernel_table())
        if (kernel.op == problem.op && runs_here(kernel) && supports(kernel, problem.problem())) rows.push_back(&kernel);
    return rows;
}

inline double dot(const KernelTensor& a, const KernelTensor& b) {
    double sum = 0;
    for (int64_t i = 0; i < elements_of(a); ++i) sum += element(a, i) * element(b, i);
    return sum;
}

// The sum of |a||b|, to which errors are proportional.
inline double magnitude_of_dot(const KernelTensor& a, const KernelTensor& b) {
    double sum = 0;
    for (int64_t i = 0; i < elements_of(a); ++i) sum += std::fabs(element(a, i) * element(b, i));
    return sum;
}

inline void copy(const KernelTensor& from, const KernelTensor& to) {
    for (int64_t i = 0; i < elements_of(from); ++i) set_element(to, i, element(from, i));
}

// The best row that can run here.
inline const Kernel& best(const LayerProblem& problem) { return select(problem.problem(), Target{best_isa()}); }

}  // namespace xbench
