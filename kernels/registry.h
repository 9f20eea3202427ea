// The table of kernel implementations and how one is chosen.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "kernels/kernel.h"

namespace xbench {

// A tensor of this shape as kernels see it; `data` may come later.
KernelTensor kernel_tensor(const Shape& shape, DType dtype = DType::f32, Layout layout = Layout::plain,
                           void* data = nullptr);

enum class DeviceKind : int32_t { cpu, cuda };

// What kernels are chosen for: a device's description, without the device.
struct Target {
    Isa isa = Isa::portable;  // of a cpu
    DeviceKind kind = DeviceKind::cpu;
    int32_t compute_capability = 0;  // of a cuda device: 90 is sm_90
};
// What runs on both: a rank takes the kernels that every rank has. Throws Error for devices of different kinds.
Target least_of(const Target& a, const Target& b);
std::string to_string(const Target& target);  // "the instruction set avx2", "compute capability 9.0"

// Which layouts a target's rows want for images between layers whose convolutions multiply in `products`.
struct LayoutWishes {
    Layout wide;                 // of images with many channels
    int64_t from_channels;       // so many are many
    int64_t most_stem_channels;  // a convolution of so few reads plain images and writes wide ones
};
LayoutWishes wished_layouts(const Target& target, DType products = DType::f32);

// Forces an implementation: {"conv2d", "reference"}; the operator's gradients have names of their own ("conv2d_wgrad").
struct Choice {
    std::string op, kernel;
};

// All rows, best first within an operator; the references come last.
std::span<const Kernel> kernel_table();

// Whether the row computes this problem: what it says itself, and that no row of the CPU but a reference reads nhwc.
Support supports(const Kernel& row, const Problem& problem);

DeviceKind kind_of(const Kernel& row);
std::string place_of(const Kernel& row);  // what it was built for: "avx2", "sm_80"
// A CPU with the row's instruction set, or a GPU of its compute capability or a later one, with the library that it calls.
bool runs_on(const Kernel& row, const Target& target);
// Whether a row may be chosen for this problem without being forced.
bool is_candidate(const Kernel& row, const Problem& problem);

// The first row that the target can run and that is a candidate for the problem; forced rows first. Throws Error that names
// the operator, its shapes and what rows there are. It never looks at the batch size, the leaves or the number of threads:
// another algorithm on another rank count would be another result.
const Kernel& select(const Problem& problem, const Target& target, std::span<const Choice> forced = {});

// The slow, plain row of an operator: the oracle.
const Kernel& reference(OpKind op);

const char* name_of(Isa isa);
std::string to_string(const Problem& problem);  // "conv2d 8x1x64x64 plain, 8x1x3x3 plain -> 8x8x64x64 plain"

}  // namespace xbench
