// One kernel on one problem, ready to be timed: operands and workspace one after the other in one piece of memory, as a
// plan's arena has them; nothing is allocated by a call. Its error is that of compare.h, in units of eps * sum |a||b|.
#pragma once

#include <string>

#include "core/memory.h"
#include "kernels/cases/compare.h"
#include "kernels/cases/problem_data.h"
#include "kernels/op.h"
#include "kernels/team.h"

namespace xbench {

class KernelCase {
public:
    KernelCase(const LayerProblem& problem, const Kernel& kernel, int threads);
    KernelCase(const KernelCase&) = delete;
    KernelCase& operator=(const KernelCase&) = delete;

    // One call, as the executor makes it: one parallel region.
    void run() {
        run_team(threads_, [this](const Team& team) { kernel_.run(args_, team); });
    }
    const KernelArgs& args() const { return args_; }
    int64_t working_set() const { return working_set_; }  // bytes of operands and workspace

private:
    void place();
    const Kernel& kernel_;
    const int threads_;
    ProblemData data_;
    KernelArgs args_;
    AlignedBuffer arena_;
    int64_t working_set_ = 0;
};

struct KernelError {
    double eps = 0;       // largest error in units of 2^-24 * (sum of the magnitudes that were added up)
    int64_t images = 0;   // of the problem that was compared
    std::string message;  // why it is too large; empty when it is not
};

// Against the f64 reference, which is slow: large convolutions and problems for timing only are compared on one image.
KernelError measure_error(const LayerProblem& problem, const Kernel& kernel, int threads);

}  // namespace xbench
