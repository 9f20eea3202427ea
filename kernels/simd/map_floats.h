// Operators that work on each stored float by itself, whatever the layout: out[i] = body(a[i], b[i]) for a body that makes 0
// of zeros, so that the padding of nchw16c stays zero. Threads share the floats in multiples of 64 bytes. For *.isa.cpp.
#pragma once

#include "kernels/simd/chunk.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

XB_INLINE int64_t stored_floats(const KernelTensor& t) {
    int64_t count = 1;
    for (int axis = 0; axis < t.rank; ++axis)
        count *= axis == 1 && is_blocked(t) ? div_up(t.dim[axis], chunk_size) * chunk_size : t.dim[axis];
    return count;
}

// Over this thread's floats; b is a where there is one input.
template <class Body>
XB_INLINE void map_floats(const KernelArgs& args, const Team& team, Body&& body) {
    const auto* a = static_cast<const float*>(args.in[0].data);
    const auto* b = static_cast<const float*>(args.in[args.n_in > 1 ? 1 : 0].data);
    auto* out = static_cast<float*>(args.out[0].data);
    const int64_t count = stored_floats(args.out[0]);
    const Share chunks = share_of(div_up(count, chunk_size), team);
    int64_t i = chunks.begin * chunk_size;
    const int64_t end = chunks.end * chunk_size < count ? chunks.end * chunk_size : count;
    if (out != a && out != b && goes_past_caches(out, count, chunk_size)) {
        for (; i + chunk_size <= end; i += chunk_size)
            chunk_write<true>(out + i, body(chunk_load(a + i), chunk_load(b + i)));
        end_of_streams();
    }
    for (; i + chunk_size <= end; i += chunk_size) chunk_write<false>(out + i, body(chunk_load(a + i), chunk_load(b + i)));
    if (i < end) chunk_store(out + i, body(chunk_load(a + i, end - i), chunk_load(b + i, end - i)), end - i);
}

// All operands in f32 and one layout.
XB_INLINE Support maps_floats(const Problem& p) {
    for (int32_t i = 0; i < p.n_in; ++i)
        if (const Support operand = dense_f32(p.in[i], p.out[0].layout); !operand) return operand;
    return both(known_attributes(p), dense_f32(p.out[0], p.out[0].layout));
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
