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

// A convolution or its filter gradient with y in nhwc and everything else as it is: a first layer of a plan in nhwc.
inline LayerProblem as_first_layer(LayerProblem problem) {
    const bool gradient = problem.op == OpKind::conv2d_wgrad;
    KernelTensor& images = gradient ? problem.in[1] : problem.out[0];
    if ((gradient || problem.op == OpKind::conv2d) && images.layout == Layout::plain) images.layout = Layout::nhwc;
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
