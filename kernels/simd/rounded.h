// bf16 where the processor has no bf16 products: a row of f32 becomes one of bf16 by rounding its two large operands to bf16
// (to nearest, ties to even) into copies in the workspace; the products of the copies are exact in f32. As fast as f32 less
// one pass over the operands. Also says which rows are f32's.
//     {OpKind::conv2d, "direct_rows", this_isa, in_f32<supports>, forward_workspace, run_forward},
//     {OpKind::conv2d, "direct_rows_rounded", this_isa, in_bf16<supports>, rounded_workspace<forward_workspace>,
//      run_rounded<run_forward>},
#pragma once

#include "kernels/products.h"
#include "kernels/simd/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

typedef Support (*Supports)(const Problem&);
typedef size_t (*Workspace)(const Problem&, int);
typedef void (*Run)(const KernelArgs&, const Team&) noexcept;

template <Supports shapes>
Support in_f32(const Problem& p) {
    return products_of(p) == DType::f32 ? both(known_attributes(p), shapes(p)) : refused("products");
}
template <Supports shapes>
Support in_bf16(const Problem& p) {
    return products_of(p) == DType::bf16 ? both(known_attributes(p), shapes(p)) : refused("products");
}

// Elements in memory, padding channels included.
XB_INLINE int64_t stored_elements(const KernelTensor& t) {
    const bool blocked = t.layout == Layout::nchw16c;
    int64_t count = 1;
    for (int32_t axis = 0; axis < t.rank; ++axis) count *= blocked && axis == 1 ? div_up(t.dim[1], 16) * 16 : t.dim[axis];
    return count;
}

// A copy's elements in the workspace: whole cache lines.
XB_INLINE int64_t copy_elements(const KernelTensor& t) { return div_up(stored_elements(t), 16) * 16; }

XB_INLINE VF round_to_bf16(VF value) {
    typedef uint32_t Bits __attribute__((vector_size(sizeof(VF))));
    const Bits bits = (Bits)value;
    const Bits rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) & 0xFFFF0000u;
    const Bits quiet = bits | 0x00400000u;  // a NaN must not be rounded to infinity
    return (VF)((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded);
}

static inline void round_row(const float* from, float* to, int64_t count) {
    int64_t i = 0;
    for (; i + vf_width <= count; i += vf_width) vf_store(to + i, round_to_bf16(vf_load(from + i)));
    const VM rest = vm_first(static_cast<int>(count - i));
    if (i < count) vf_store(to + i, round_to_bf16(vf_load(from + i, rest)), rest);
}

static inline void round_copy(const KernelTensor& t, float* copy, const Team& team) {
    const int64_t count = stored_elements(t);
    const Share mine = share_of(div_up(count, 16), team);
    const int64_t begin = mine.begin * 16, end = mine.end * 16 < count ? mine.end * 16 : count;
    if (begin < end) round_row(static_cast<const float*>(t.data) + begin, copy + begin, end - begin);
}

// The copies of inputs first .. first+count-1, then the f32 row's own workspace; without one: null.
template <Workspace own, int first = 0, int count = 2>
size_t rounded_workspace(const Problem& p, int threads) {
    size_t bytes = 0;
    for (int i = first; i < first + count; ++i) bytes += static_cast<size_t>(copy_elements(p.in[i])) * sizeof(float);
    if constexpr (own != nullptr) bytes += own(p, threads);
    return bytes;
}

// run_f32 on rounded copies of these inputs; it rounds the others itself.
template <Run run_f32, int first = 0, int count = 2>
void run_rounded(const KernelArgs& args, const Team& team) noexcept {
    KernelArgs rounded = args;
    float* copy = static_cast<float*>(args.workspace);
    for (int i = first; i < first + count; ++i) {
        round_copy(args.in[i], copy, team);
        rounded.in[i].data = copy;
        copy += copy_elements(args.in[i]);
    }
    rounded.workspace = copy;
    team.barrier();
    run_f32(rounded, team);
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
