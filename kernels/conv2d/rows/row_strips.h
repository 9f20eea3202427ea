// Plain activations as the loops over their rows see them: planes, and strips of a few vectors whose taps are masked at the
// borders of a row, or gathered where a stride separates them.
#pragma once

#include "kernels/conv2d/taps.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

constexpr int row_vectors = 3;                             // most vectors of a tile
constexpr int row_group = vf_registers == 32 ? 8 : 4;      // channels of a tile
constexpr int narrow_group = vf_registers == 32 ? 16 : 4;  // the same when a row fits one vector
constexpr int rows_a_task = 16;

struct RowPlanes {
    float* data;
    int64_t n, c, h, w;
    int64_t plane, image;
};

XB_INLINE RowPlanes row_planes_of(const KernelTensor& t) {
    const int64_t plane = t.dim[2] * t.dim[3];
    return RowPlanes{static_cast<float*>(t.data), t.dim[0], t.dim[1], t.dim[2], t.dim[3], plane, plane * t.dim[1]};
}

struct RowJob {
    RowPlanes in, out;
    Axis rows, columns;
    const float* weights;  // {group}{input channel}{r}{s}{channel of the group}
    const float* bias;     // padded to whole groups
    int group;
    bool relu;
};

// Which lanes of a tile's vectors read inside of the image, for each tap; `full` when all do.
struct Strip {
    int32_t first, vectors;  // output column, vectors
    bool full;
    OutputRange lanes[max_taps][row_vectors];
    VM mask[max_taps][row_vectors];
};

XB_INLINE int32_t clamp(int32_t value, int32_t lo, int32_t hi) { return value < lo ? lo : value > hi ? hi : value; }

XB_INLINE Strip strip_at(const Axis& columns, int32_t first, int32_t vectors) {
    Strip strip;
    strip.first = first;
    strip.vectors = vectors;
    strip.full = columns.step == 1 && columns.out_step == 1 && first + vectors * vf_width <= columns.outputs;
    for (int32_t s = 0; s < columns.taps; ++s) {
        const OutputRange valid = columns.tap[s].inside;
        for (int32_t v = 0; v < vectors; ++v) {
            const int32_t at = first + v * vf_width;
            const OutputRange lanes = {clamp(valid.lo - at, 0, vf_width), clamp(valid.hi - at, 0, vf_width)};
            strip.lanes[s][v] = lanes;
            strip.mask[s][v] = vm_range(lanes.lo, lanes.hi);
            if (lanes.lo > 0 || lanes.hi < vf_width) strip.full = false;
        }
    }
    return strip;
}

enum class Border { none, masked, strided };

// Where vector v of a strip lies in an input row, seen through tap s.
struct StripInput {
    int64_t at;
    VM mask;
    OutputRange lanes;
};

XB_INLINE StripInput strip_input(const Axis& columns, const Strip& strip, int32_t s, int v) {
    const int64_t at = int64_t{strip.first + v * vf_width} * columns.step + columns.tap[s].shift;
    return StripInput{at, strip.mask[s][v], strip.lanes[s][v]};
}

template <Border border>
XB_INLINE VF load_input(const Axis& columns, const StripInput& input, const float* row) {
    if constexpr (border == Border::none) {
        return vf_load(row + input.at);
    } else if constexpr (border == Border::masked) {
        return vf_load(row + input.at, input.mask);
    } else {
        return vf_load_strided(row + input.at, columns.step, input.lanes.lo, input.lanes.hi);
    }
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
