// What the host sides of the rows for CUDA (*.cuda.cpp) share: which operands a row takes, their addresses, and grids.
#pragma once

#include <cstdint>

#include "kernels/cuda/queue.h"
#include "kernels/kernel.h"
#include "kernels/products.h"

namespace xbench {

constexpr int32_t first_compute_capability = 80;  // sm_80: what every row runs on

template <class T>
T* address(const KernelTensor& tensor) {
    return static_cast<T*>(tensor.data);
}
// Of an operand that may be absent: null then.
template <class T>
T* address(const KernelTensor* tensors, int32_t count, int32_t index) {
    return index < count && tensors[index].rank > 0 ? address<T>(tensors[index]) : nullptr;
}

template <class T>
const T& attributes(const Problem& problem) {
    return *static_cast<const T*>(problem.attrs);
}

inline int64_t elements(const KernelTensor& tensor) {
    int64_t count = tensor.rank > 0 ? 1 : 0;
    for (int32_t axis = 0; axis < tensor.rank; ++axis) count *= tensor.dim[axis];
    return count;
}
inline int64_t elements_of_image(const KernelTensor& tensor) {
    int64_t count = 1;
    for (int32_t axis = 1; axis < tensor.rank; ++axis) count *= tensor.dim[axis];
    return count;
}

// 128-bit accesses of f32: every address a multiple of 16 bytes. Tensors of a plan begin so, parts of a flat buffer need
// not.
template <class... Pointers>
bool are_vectors(const Pointers*... pointers) {
    return (((reinterpret_cast<uintptr_t>(pointers) & 15) == 0) && ...);
}

inline unsigned blocks_for(int64_t items, int64_t each) { return static_cast<unsigned>((items + each - 1) / each); }

// Element for element, four a thread, in 128-bit accesses where all addresses allow: y of x, or of a and b. `more` is what
// the kernel takes behind that.
constexpr unsigned map_threads = 256;
template <class... More>
void launch_map(const CudaFunction& function, const KernelArgs& args, CudaQueue& queue, const More&... more) noexcept {
    const auto* x = address<const float>(args.in[0]);
    auto* y = address<float>(args.out[0]);
    const int64_t count = elements(args.out[0]);
    queue.launch(function, {blocks_for(count, 4 * map_threads)}, {map_threads}, 0, x, y, count, int{are_vectors(x, y)},
                 more...);
}
template <class... More>
void launch_map_of_two(const CudaFunction& function, const KernelArgs& args, CudaQueue& queue,
                       const More&... more) noexcept {
    const auto *a = address<const float>(args.in[0]), *b = address<const float>(args.in[1]);
    auto* y = address<float>(args.out[0]);
    const int64_t count = elements(args.out[0]);
    queue.launch(function, {blocks_for(count, 4 * map_threads)}, {map_threads}, 0, a, b, y, count, int{are_vectors(a, b, y)},
                 more...);
}

// Plain layout, products in f32, attributes that are known, and an operand that is f32 where a naive plan has f64.
inline Support takes_plain_f32(const Problem& problem, const KernelTensor& real) {
    for (int32_t i = 0; i < problem.n_in; ++i)
        if (problem.in[i].rank > 0 && problem.in[i].layout != Layout::plain) return refused("layout");
    for (int32_t i = 0; i < problem.n_out; ++i)
        if (problem.out[i].rank > 0 && problem.out[i].layout != Layout::plain) return refused("layout");
    if (real.dtype != DType::f32) return refused("element type");
    if (products_of(problem) != DType::f32) return refused("products");
    return known_attributes(problem);
}
inline Support plain_f32_input(const Problem& problem) { return takes_plain_f32(problem, problem.in[0]); }
inline Support plain_f32_output(const Problem& problem) { return takes_plain_f32(problem, problem.out[0]); }

// A row that is chosen wherever it is supported.
inline Kernel cuda_row(OpKind op, const char* name, Support (*supports)(const Problem&),
                       void (*enqueue)(const KernelArgs&, CudaQueue&) noexcept,
                       size_t (*workspace)(const Problem&, int) = nullptr) {
    Kernel row{op, name, Isa::portable, supports, workspace, nullptr};
    row.compute_capability = first_compute_capability;
    row.enqueue = enqueue;
    return row;
}

}  // namespace xbench
