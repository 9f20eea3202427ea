// To the device and back.
#include "kernels/cases/device_data.h"

namespace xbench {

DeviceData::DeviceData(ProblemData& here, const Kernel& kernel, Device& device, bool guards)
    : here_(here), kernel_(kernel), device_(device), guards_(guards) {
    for (const auto& operand : here.memory(guards)) there_.push_back(device.allocate_undefined(operand.size()));
    if (kernel.workspace) workspace_ = device.allocate_undefined(kernel.workspace(here.args(), device.threads()));
    leaf_begin_ = device.allocate_undefined(here.problem().leaf_begin.size() * sizeof(int32_t));
    sample_ids_ = device.allocate_undefined(static_cast<size_t>(here.problem().images()) * sizeof(int64_t));
    context_ = device.allocate_undefined(sizeof(StepContext));
    loss_scale_ = device.allocate_undefined(sizeof(float));
    point();
    send();
}

// Operands of the call by where they lie on the host: an output may lie in an input's memory.
void DeviceData::point() {
    args_ = here_.args();
    args_.workspace = workspace_.data();
    args_.step = &step_;
    const auto memory = here_.memory(guards_);
    const auto move = [&](KernelTensor* tensors, int32_t count) {
        for (int32_t i = 0; i < count; ++i)
            for (size_t m = 0; m < memory.size(); ++m)
                if (tensors[i].rank > 0 && tensors[i].data == memory[m].data()) tensors[i].data = there_[m].data();
    };
    move(args_.in, args_.n_in);
    move(args_.out, args_.n_out);
}

void DeviceData::send() {
    const auto memory = here_.memory(guards_);
    for (size_t m = 0; m < memory.size(); ++m) device_.copy(there_[m].data(), memory[m].data(), memory[m].size());
    step_ = here_.step();
    device_.copy(leaf_begin_.data(), step_.leaf_begin, leaf_begin_.bytes());
    device_.copy(sample_ids_.data(), step_.sample_ids, sample_ids_.bytes());
    step_.leaf_begin = leaf_begin_.as<int32_t>();
    step_.sample_ids = sample_ids_.as<int64_t>();
    if (step_.loss_scale) {
        device_.copy(loss_scale_.data(), step_.loss_scale, sizeof(float));
        step_.loss_scale = loss_scale_.as<float>();
    }
    step_.on_device = context_.as<StepContext>();
    device_.copy(context_.data(), &step_, sizeof step_);
}

void DeviceData::launch() {
    device_.run([&](const Team& team) { device_.launch(kernel_, args_, team); });
}

void DeviceData::fetch() {
    const auto memory = here_.memory(guards_);
    for (size_t m = 0; m < memory.size(); ++m) device_.copy(memory[m].data(), there_[m].data(), memory[m].size());
    device_.wait();
}

Comparison check_kernel_on(Device& device, const Kernel& kernel, const ProblemData& data, const Oracle& oracle, double k,
                           bool guards) {
    ProblemData actual(data);
    actual.reset_outputs();
    DeviceData there(actual, kernel, device, guards);
    there.launch();
    there.fetch();
    return compare(actual, kernel, oracle, k);
}

}  // namespace xbench
