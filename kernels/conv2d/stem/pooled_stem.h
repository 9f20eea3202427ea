// What the two kernels for the filters' gradient of a pooled first layer share (pooled_stem.isa.cpp over nchw16c,
// pooled_stem_rows.isa.cpp over plain images): operands, the numbers of a batch normalisation, the tree over the leaves.
// x{n,c,h,w} plain, y{n,k,2p,2q} the convolution's output, dy and index {n,k,p,q}; dw{k,c,3,3}, db{k}.
#pragma once

#include "kernels/simd/chunk.h"
#include "kernels/simd/leaf_sum.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int side = 3, taps = side * side;  // of a filter

struct PooledStem {
    const float *x, *y, *dy;  // y is null without batch normalisation
    const uint8_t* index;
    int64_t c, h, w, k, p, q, pad_h, pad_w;  // p, q: of dy
    int64_t y_row, y_plane;                  // floats
    const float *mean, *rstd, *gamma;        // of batch normalisation
    const double* norm_sums;
    double count;
    int64_t positions() const { return c * taps + 1; }  // the last one is the bias
    int64_t blocks() const { return div_up(k, chunk_size); }
};

// Gradient of y = scale y + offset + gain dy, for some channels; zero past the last.
struct NormNumbers {
    float scale[chunk_size], offset[chunk_size], gain[chunk_size];
};

XB_INLINE NormNumbers norm_numbers(const PooledStem& o, int64_t block) {
    NormNumbers numbers = {};
    for (int64_t k = block * chunk_size; k < o.k && k < (block + 1) * chunk_size; ++k) {
        const double rstd = static_cast<double>(o.rstd[k]), gain = static_cast<double>(o.gamma[k]) * rstd;
        const double scale = -gain * rstd * (o.norm_sums[o.k + k] / o.count);
        numbers.scale[k % chunk_size] = static_cast<float>(scale);
        numbers.offset[k % chunk_size] =
            static_cast<float>(-gain * (o.norm_sums[k] / o.count) - static_cast<double>(o.mean[k]) * scale);
        numbers.gain[k % chunk_size] = static_cast<float>(gain);
    }
    return numbers;
}

// The tree over the leaves, for each filter element and bias; partial {leaves, blocks, positions, 16}.
XB_INLINE void add_leaves(const PooledStem& o, const StepContext& step, const float* partial, float* dw, float* db,
                          const Team& team) {
    const int64_t positions = o.positions(), leaf_size = o.blocks() * positions * chunk_size;
    const Share share = share_of(o.k * positions, team);
    for (int64_t task = share.begin; task < share.end; ++task) {
        const int64_t k = task / positions, position = task % positions;
        const float* first = partial + (k / chunk_size * positions + position) * chunk_size + k % chunk_size;
        const float total = leaf_tree_sum<float>(step, [&](int32_t v) { return first[v * leaf_size]; });
        if (position < o.c * taps)
            dw[k * o.c * taps + position] = total;
        else if (db)
            db[k] = total;
    }
}

XB_INLINE const Conv2d& conv_of(const Problem& p) {
    return p.op == OpKind::conv2d_pool_wgrad ? static_cast<const Conv2dPool*>(p.attrs)->conv
                                             : static_cast<const Conv2dBatchNormPool*>(p.attrs)->conv;
}

XB_INLINE PooledStem pooled_stem_of(const Problem& p, const StepContext* step = nullptr) {
    const bool norm = p.op == OpKind::conv2d_batchnorm_pool_wgrad;
    const KernelTensor &x = p.in[0], &dy = p.in[1 + norm];
    const Conv2d& conv = conv_of(p);
    PooledStem o{};
    o.x = static_cast<const float*>(x.data), o.dy = static_cast<const float*>(dy.data);
    o.index = static_cast<const uint8_t*>(p.in[2 + norm].data);
    o.c = x.dim[1], o.h = x.dim[2], o.w = x.dim[3], o.k = dy.dim[1], o.p = dy.dim[2], o.q = dy.dim[3];
    o.pad_h = conv.pad_h, o.pad_w = conv.pad_w;
    if (!norm) return o;
    o.y = static_cast<const float*>(p.in[1].data);
    o.y_row = p.in[1].dim[3] * (is_blocked(p.in[1]) ? chunk_size : 1), o.y_plane = p.in[1].dim[2] * o.y_row;
    o.mean = static_cast<const float*>(p.in[4].data), o.rstd = o.mean + o.k;
    o.gamma = static_cast<const float*>(p.in[5].data);
    o.norm_sums = static_cast<const double*>(p.in[6].data);
    const auto& attrs = static_cast<const Conv2dBatchNormPool*>(p.attrs)->pool.norm;
    if (step) o.count = static_cast<double>(step->global_batch) * static_cast<double>(attrs.pixels);
    return o;
}

// 3x3 at stride 1 and windows of 2x2 that leave no rim.
XB_INLINE Support is_pooled_stem(const Problem& p) {
    const Conv2d& a = conv_of(p);
    if (a.groups != 1) return refused("groups");
    if (a.r != side || a.s != side) return refused("filter size");
    if (a.stride_h != 1 || a.stride_w != 1) return refused("stride");
    if (a.dilation_h != 1 || a.dilation_w != 1) return refused("dilation");
    if (p.op == OpKind::conv2d_pool_wgrad) {
        const auto& pool = *static_cast<const Conv2dPool*>(p.attrs);
        return pool.r == 2 && pool.s == 2 ? supported : refused("window");
    }
    const BatchNormPool& pool = static_cast<const Conv2dBatchNormPool*>(p.attrs)->pool;
    if (pool.r != 2 || pool.s != 2) return refused("window");
    if (p.in[1].dim[2] != 2 * p.in[2].dim[2] || p.in[1].dim[3] != 2 * p.in[2].dim[3]) return refused("rim");
    return pool.norm.input_activation == Activation::none ? supported : refused("activation of the input");
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
