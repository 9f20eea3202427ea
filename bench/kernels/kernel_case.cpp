// Aligned copies of a problem's operands, and the comparison with the reference.
#include "bench/kernels/kernel_case.h"

#include <algorithm>
#include <regex>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/tensor.h"
#include "kernels/registry.h"

namespace xbench {
namespace {

constexpr double most_flops_to_compare = 2.5e8;  // about a second of the reference

// The same call of the same line with one image.
LayerProblem with_one_image(const LayerProblem& problem) {
    const std::string line = line_with_images(problem.line, 1, 1);
    const std::vector<LayerProblem> all = parse_problem(problem.line, problem.line), small = parse_problem(line, line);
    const std::string wanted = to_string(problem.problem());
    for (size_t i = 0; i < all.size(); ++i)
        if (to_string(all[i].problem()) == wanted) return small.at(i);
    throw Error("the line does not give this call: " + wanted, problem.line);
}

// The reference takes seconds for a large convolution and for tensors that fit no cache.
bool too_large_to_compare(const LayerProblem& problem) {
    const std::vector<Operand>& in = operands_of(problem.op).in;
    if (std::none_of(in.begin(), in.end(), [](const Operand& operand) { return operand.per_image; })) return false;
    const OpDef& def = op_def(problem.op);
    return def.multiplies ? def.work(problem.problem()).flops > most_flops_to_compare : problem.bench_only;
}

}  // namespace

KernelCase::KernelCase(const LayerProblem& problem, const Kernel& kernel, Device& device)
    : kernel_(kernel), device_(device), data_(problem, DataKind::random, 1), args_(data_.args()) {
    place();
    if (!device.is_host()) send_step();
}

// The step, and what it points to, in the device's memory.
void KernelCase::send_step() {
    const LayerProblem& problem = data_.problem();
    step_ = *args_.step;
    leaf_begin_ = device_.allocate(problem.leaf_begin.size() * sizeof(int32_t));
    sample_ids_ = device_.allocate(static_cast<size_t>(problem.images()) * sizeof(int64_t));
    device_.copy(leaf_begin_.data(), step_.leaf_begin, leaf_begin_.bytes());
    device_.copy(sample_ids_.data(), step_.sample_ids, sample_ids_.bytes());
    step_.leaf_begin = leaf_begin_.as<int32_t>();
    step_.sample_ids = sample_ids_.as<int64_t>();
    if (step_.loss_scale) {
        loss_scale_ = device_.allocate(sizeof(float));
        device_.copy(loss_scale_.data(), step_.loss_scale, sizeof(float));
        step_.loss_scale = loss_scale_.as<float>();
    }
    context_ = device_.allocate(sizeof(StepContext));
    step_.on_device = context_.as<StepContext>();
    device_.copy(context_.data(), &step_, sizeof step_);
    args_.step = &step_;
}

double KernelCase::seconds(int64_t calls) {
    const DeviceEvent start = device_.record();
    for (int64_t call = 0; call < calls; ++call) run();
    return static_cast<double>(device_.elapsed_ns(start, device_.record())) * 1e-9;
}

const ProblemData& KernelCase::fetch() {
    const KernelArgs& here = data_.args();
    for (int i = 0; i < args_.n_out; ++i)
        if (args_.out[i].rank > 0)
            device_.copy(here.out[i].data, args_.out[i].data, static_cast<size_t>(stored_bytes_of(args_.out[i])));
    device_.wait();
    return data_;
}

void KernelCase::place() {
    std::vector<std::pair<KernelTensor*, size_t>> placed;  // operand, offset
    size_t end = 0;
    const auto reserve = [&](int64_t bytes) {
        const size_t offset = end;
        end += (static_cast<size_t>(bytes) + 63) / 64 * 64;
        working_set_ += bytes;
        return offset;
    };
    for (int i = 0; i < args_.n_in; ++i) placed.emplace_back(&args_.in[i], reserve(stored_bytes_of(args_.in[i])));
    for (int i = 0; i < args_.n_out; ++i) {
        int same = -1;  // the input that is updated in place
        for (int j = 0; j < args_.n_in; ++j)
            if (args_.in[j].data == args_.out[i].data) same = j;
        placed.emplace_back(&args_.out[i],
                            same >= 0 ? placed[static_cast<size_t>(same)].second : reserve(stored_bytes_of(args_.out[i])));
    }
    const size_t workspace_bytes = kernel_.workspace ? kernel_.workspace(args_, device_.threads()) : 0;
    const size_t workspace = reserve(static_cast<int64_t>(workspace_bytes));
    arena_ = device_.allocate(end);
    for (const auto& [tensor, offset] : placed) {
        if (tensor->rank == 0) continue;
        const auto bytes = static_cast<size_t>(stored_bytes_of(*tensor));
        char* const to = arena_.as<char>() + offset;
        device_.copy(to, tensor->data, bytes);
        tensor->data = to;
    }
    args_.workspace = workspace_bytes > 0 ? arena_.as<char>() + workspace : nullptr;
}

std::string line_with_images(const std::string& line, int images, int leaves) {
    const std::string other = std::regex_replace(line, std::regex(R"(\bn\d+\b)"), "n" + std::to_string(images));
    return std::regex_replace(other, std::regex(R"(\bleaves\d+\b)"), "leaves" + std::to_string(leaves));
}

KernelError measure_error(const LayerProblem& problem, const Kernel& kernel, Device& device) {
    const LayerProblem compared = too_large_to_compare(problem) ? with_one_image(problem) : problem;
    const ProblemData data(compared, DataKind::random, 1);
    KernelCase once(compared, kernel, device);
    once.run();
    const Comparison result = compare(once.fetch(), kernel, Oracle(data), tolerance_of(compared, kernel));
    return {result.worst, compared.images(), result.ok ? "" : result.message};
}

}  // namespace xbench
