// "vector": relu, relu_grad, add and accumulate over the stored floats, whatever the layout (the padding of nchw16c stays
// zero under all of them). Threads share the floats in multiples of 64 bytes. Bound by memory: relu 50, relu_grad 38, add
// 43 GB/s at 8x64x112x112, 118 GB/s in the second-level cache (one core of an AMD EPYC 9005, AVX-512; memcpy moves 47 GB/s).
#include "kernels/simd/map_floats.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows elementwise_rows();
namespace {

void run_relu(const KernelArgs& args, const Team& team) noexcept {
    map_floats(args, team, [](const Chunk& x, const Chunk&) { return chunk_relu(x); });
}

void run_relu_grad(const KernelArgs& args, const Team& team) noexcept {
    map_floats(args, team, [](const Chunk& dy, const Chunk& y) { return chunk_where_positive(y, dy); });
}

// add and accumulate.
void run_add(const KernelArgs& args, const Team& team) noexcept {
    const auto* attrs = static_cast<const Elementwise*>(args.attrs);
    if (attrs && attrs->activation == Activation::relu)
        map_floats(args, team, [](const Chunk& a, const Chunk& b) { return chunk_relu(a + b); });
    else
        map_floats(args, team, [](const Chunk& a, const Chunk& b) { return a + b; });
}

const Kernel rows[] = {
    {OpKind::relu, "vector", this_isa, maps_floats, nullptr, run_relu},
    {OpKind::relu_grad, "vector", this_isa, maps_floats, nullptr, run_relu_grad},
    {OpKind::add, "vector", this_isa, maps_floats, nullptr, run_add},
    {OpKind::accumulate, "vector", this_isa, maps_floats, nullptr, run_add},
};

}  // namespace

KernelRows elementwise_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
