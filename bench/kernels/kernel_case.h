// One kernel on one problem, ready to be timed: operands and workspace one after the other in one piece of the device's
// memory, as a plan's arena has them; nothing is allocated by a call. Its error is that of compare.h, in units of eps * sum
// |a||b|.
#pragma once

#include <string>

#include "core/memory.h"
#include "kernels/cases/compare.h"
#include "kernels/cases/problem_data.h"
#include "kernels/device.h"
#include "kernels/op.h"

namespace xbench {

class KernelCase {
public:
    // Both must outlive it.
    KernelCase(const LayerProblem& problem, const Kernel& kernel, Device& device);
    KernelCase(const KernelCase&) = delete;
    KernelCase& operator=(const KernelCase&) = delete;

    // One call, as the executor makes it: one run of the device.
    void run() {
        device_.run([this](const Team& team) { device_.launch(kernel_, args_, team); });
    }
    double seconds(int64_t calls = 1);                    // of so many calls, by the device's clock, for which it waits
    const KernelArgs& args() const { return args_; }      // in the device's memory
    int64_t working_set() const { return working_set_; }  // bytes of operands and workspace
    const ProblemData& fetch();                           // the operands as the calls so far left them, on the host

private:
    void place();
    void send_step();
    const Kernel& kernel_;
    Device& device_;
    ProblemData data_;
    KernelArgs args_;
    AlignedBuffer arena_;
    StepContext step_{};  // of a device that cannot read the host's
    AlignedBuffer leaf_begin_, sample_ids_, loss_scale_, context_;
    int64_t working_set_ = 0;
};

struct KernelError {
    double eps = 0;       // largest error in units of 2^-24 * (sum of the magnitudes that were added up)
    int64_t images = 0;   // of the problem that was compared
    std::string message;  // why it is too large; empty when it is not
};

// The same line with so many images in as many leaves.
std::string line_with_images(const std::string& line, int images, int leaves);

// Against the f64 reference, which is slow: large convolutions and problems for timing only are compared on one image.
KernelError measure_error(const LayerProblem& problem, const Kernel& kernel, Device& device);

}  // namespace xbench
