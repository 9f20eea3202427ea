// Sums of squares.
#include "parallel/strategy/gradient_norm.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/gather.h"

namespace xbench {
namespace {

constexpr size_t line = 16;  // elements: what ranges of ranks are whole multiples of
size_t lines_of(size_t elements) { return (elements + line - 1) / line; }

// The two newest become one for as long as they cover equally many lines.
void merge_equals(std::vector<BlockSum>& stack) {
    while (stack.size() > 1 && stack[stack.size() - 2].lines == stack.back().lines) {
        const BlockSum last = stack.back();
        stack.pop_back();
        stack.back().lines *= 2;
        stack.back().sum += last.sum;
    }
}

}  // namespace

std::vector<BlockSum> sum_blocks(const double* of_lines, int64_t first, int64_t lines) {
    std::vector<BlockSum> blocks, stack;
    for (int64_t at = first, end = first + lines; at < end;) {
        int64_t size = 1;
        while (at % (2 * size) == 0 && at + 2 * size <= end) size *= 2;
        stack.clear();
        for (int64_t i = at; i < at + size; ++i) {
            stack.push_back({i, 1, of_lines[i - first]});
            merge_equals(stack);
        }
        blocks.push_back(stack.front());
        at += size;
    }
    return blocks;
}

double sum_of_blocks(std::vector<BlockSum> blocks) {
    std::sort(blocks.begin(), blocks.end(), [](const BlockSum& a, const BlockSum& b) { return a.first < b.first; });
    std::vector<BlockSum> stack;
    for (const BlockSum& block : blocks) {
        stack.push_back(block);
        merge_equals(stack);
    }
    double sum = 0;
    if (!stack.empty()) sum = stack.back().sum;
    for (size_t i = stack.size(); i-- > 1;) sum = stack[i - 1].sum + sum;
    return sum;
}

GradientNorm::GradientNorm(std::vector<GradientPart> parts, Device& device, ControlPlane* others, MemoryLedger* ledger)
    : parts_(std::move(parts)), device_(device), others_(others) {
    size_t lines = 0;
    for (const GradientPart& part : parts_) {
        if (part.begin % line != 0) throw Error("begins inside of a line", "norm of gradients");
        lines += lines_of(part.count);
    }
    sums_ = device.allocate(std::max<size_t>(lines, 1) * sizeof(double), ledger, MemoryCategory::workspace);
    size_t at = 0;
    for (const GradientPart& part : parts_) {
        if (part.count == 0) continue;
        KernelArgs args{};
        args.op = OpKind::square_sums;
        args.attrs = &attributes_;
        args.leaves = args.n_in = args.n_out = 1;
        args.in[0] =
            kernel_tensor({static_cast<int64_t>(part.count)}, DType::f32, Layout::plain, const_cast<float*>(part.data));
        args.out[0] =
            kernel_tensor({static_cast<int64_t>(lines_of(part.count))}, DType::f64, Layout::plain, sums_.as<double>() + at);
        args_.push_back(args);
        at += lines_of(part.count);
    }
    if (!args_.empty()) kernel_ = &select(args_.front(), device.target());
}

double GradientNorm::operator()() {
    const StepContext context{};
    for (KernelArgs& args : args_) args.step = &context;
    device_.run([&](const Team& team) {
        for (const KernelArgs& args : args_) device_.launch(*kernel_, args, team);  // of different memory: no barrier
    });
    size_t lines = 0;
    for (const GradientPart& part : parts_) lines += lines_of(part.count);
    std::vector<BlockSum> blocks;
    device_.read(sums_.as<double>(), static_cast<int64_t>(lines), [&](const double* sums) {
        for (const GradientPart& part : parts_) {
            const auto count = static_cast<int64_t>(lines_of(part.count));
            const auto of_part = sum_blocks(sums, static_cast<int64_t>(part.begin / line), count);
            blocks.insert(blocks.end(), of_part.begin(), of_part.end());
            sums += count;
        }
    });
    return std::sqrt(sum_of_blocks(others_ ? gather_values(*others_, blocks) : std::move(blocks)));
}

}  // namespace xbench
