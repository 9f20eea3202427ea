// The operands of one kernel call in the memory of a device, with a workspace of undefined contents: for the tests and the
// kernel bench on devices that compute in memory of their own.
#pragma once

#include <vector>

#include "kernels/cases/compare.h"
#include "kernels/device.h"

namespace xbench {

class DeviceData {
public:
    // Both must outlive it. With guards each operand has the words behind it that nobody may touch; without them each is an
    // allocation of its exact size, whose bounds an emulated GPU or a sanitizer checks.
    DeviceData(ProblemData& here, const Kernel& kernel, Device& device, bool guards);

    void send();    // the operands and the step of `here`
    void launch();  // once, in the order of the device
    void fetch();   // all operands into `here`; waits

private:
    void point();

    ProblemData& here_;
    const Kernel& kernel_;
    Device& device_;
    const bool guards_;
    std::vector<AlignedBuffer> there_;  // as here_.memory()
    AlignedBuffer workspace_, leaf_begin_, sample_ids_, context_, loss_scale_;
    StepContext step_{};
    KernelArgs args_{};
};

// check_kernel() of a row that computes on `device`.
Comparison check_kernel_on(Device& device, const Kernel& kernel, const ProblemData& data, const Oracle& oracle, double k,
                           bool guards);

}  // namespace xbench
