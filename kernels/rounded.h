// bf16 where the processor has no bf16 products: a row of f32 becomes one of bf16 by rounding its two large operands to bf16
// (to nearest, ties to even) into copies in the workspace; the products of the copies are exact in f32. As fast as f32 less
// one pass over the operands. Also says which rows are f32's.
//     {OpKind::conv2d, "direct_rows", this_isa, in_f32<supports>, forward_workspace, run_forward},
//     {OpKind::conv2d, "direct_rows_rounded", this_isa, in_bf16<supports>, rounded_workspace<forward_workspace>,
//      run_rounded<run_forward>},
#pragma once

#include "kernels/products.h"
#include "kernels/simd.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

typedef bool (*Supports)(const Problem&);
typedef size_t (*Workspace)(const Problem&, int);
typedef void (*Run)(const KernelArgs&, const Team&) noexcept;

template <Supports shapes>
bool in_f32(const Problem& p) {
    return products_of(p) == DType::f32 && shapes(p);
}
template <Supports shapes>
bool in_bf16(const Problem& p) {
    return products_of(p) == DType::bf16 && shapes(p);
}

// Elements in memory, padding channels included.
XB_INLINE int64_t stored_elements(const KernelTensor& t) {
    const bool blocked = t.layout == static_cast<int32_t>(Layout::nchw16c);
    int64_t count = 1;
    for (int32_t axis = 0; axis < t.rank; ++axis) count *= blocked && axis == 1 ? div_up(t.dim[1], 16) * 16 : t.dim[axis];
    return count;
}

// A copy's elements in the workspace: whole cache lines.
XB_INLINE int64_t copy_elements(const KernelTensor& t) { return div_up(stored_elements(t), 16) * 16; }

XB_INLINE float round_to_bf16(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    const uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) & 0xFFFF0000u;
    const uint32_t quiet = bits | 0x00400000u;  // a NaN must not be rounded to infinity
    bits = (bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded;
    __builtin_memcpy(&value, &bits, sizeof bits);
    return value;
}

static inline void round_copy(const KernelTensor& t, float* copy, const Team& team) {
    const float* from = static_cast<const float*>(t.data);
    const Share mine = share_of(div_up(stored_elements(t), 16), team);
    const int64_t end = mine.end * 16 < stored_elements(t) ? mine.end * 16 : stored_elements(t);
    for (int64_t i = mine.begin * 16; i < end; ++i) copy[i] = round_to_bf16(from[i]);
}

// The copies first, then the f32 row's own workspace; without one: null.
template <Workspace own>
size_t rounded_workspace(const Problem& p, int threads) {
    size_t bytes = static_cast<size_t>(copy_elements(p.in[0]) + copy_elements(p.in[1])) * sizeof(float);
    if constexpr (own != nullptr) bytes += own(p, threads);
    return bytes;
}

template <Run run_f32>
void run_rounded(const KernelArgs& args, const Team& team) noexcept {
    KernelArgs rounded = args;
    float* copy = static_cast<float*>(args.workspace);
    for (int i = 0; i < 2; ++i) {
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
