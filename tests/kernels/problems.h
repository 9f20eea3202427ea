// What the tests of the kernels share: the problems of all operators, the instruction set of this machine, readable names.
#pragma once

#include <string>
#include <vector>

#include "core/hardware.h"
#include "kernels/problem_list.h"
#include "kernels/registry.h"

namespace xbench {

inline const std::vector<LayerProblem>& all_problems() {
    static const std::vector<LayerProblem> problems = load_all_problems(std::string(XB_SOURCE_DIR) + "/kernels");
    return problems;
}

inline bool runs_here(const Kernel& kernel) { return kernel.isa <= best_isa(); }

inline std::string row_name(const Kernel& kernel) {
    return std::string(name_of(kernel.op)) + " " + kernel.name + " (" + name_of(kernel.isa) + ")";
}

inline bool is_reference(const Kernel& kernel) { return &kernel == &reference(kernel.op); }

// Calls body(kernel, problem) for every row of the registry that can run here and every problem that it supports.
template <class Body>
void for_each_case(Body&& body) {
    for (const Kernel& kernel : kernel_table())
        if (runs_here(kernel))
            for (const LayerProblem& problem : all_problems())
                if (problem.op == kernel.op && kernel.supports(problem.problem())) body(kernel, problem);
}

}  // namespace xbench
