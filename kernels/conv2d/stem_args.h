// The host side of a first layer that reads plain images and writes nhwc ones on a GPU: which problems it takes, and how it
// cuts them, from the shape of an image alone.
#pragma once

#include <algorithm>

#include "kernels/conv2d/conv_args.h"
#include "kernels/conv2d/stem_nhwc.h"
#include "kernels/cuda/nhwc_row.h"

namespace xbench {

constexpr int64_t most_stem_channels = 4, most_stem_bytes = 40 << 10;  // of x in shared memory, and of filters

// `window` pixels of the convolution across and down are an item, of which an image has {down, across}.
inline StemShape stem_shape(const ConvShape& conv, int window, int64_t down, int64_t across) {
    constexpr int passes = 4, least_rows = 8;
    StemShape s{};
    s.conv = conv, s.window = window, s.across = static_cast<int32_t>(across);
    const int vec = conv.k % 4 == 0 ? 4 : 1;
    s.walk = nhwc_walk(conv.k, down * across, vec, passes, 1);
    const auto rows_of_x = [&](int64_t rows) {
        return static_cast<int32_t>((rows * window - 1) * conv.stride_h + (conv.r - 1) * conv.dilation_h + 1);
    };
    s.x_pitch = static_cast<int32_t>((across * window - 1) * conv.stride_w + (conv.s - 1) * conv.dilation_w + 1);
    int64_t rows = std::max<int64_t>((passes * s.walk.rows + across - 1) / across, least_rows / window);
    rows = std::min(rows, down);
    while (rows > 1 && int64_t{4} * conv.c * rows_of_x(rows) * s.x_pitch > most_stem_bytes) --rows;
    const int64_t parts = (down + rows - 1) / rows;
    rows = (down + parts - 1) / parts;
    s.walk.part = static_cast<int32_t>(rows * across), s.walk.parts = static_cast<int32_t>((down + rows - 1) / rows);
    s.x_rows = rows_of_x(rows);
    s.width = int64_t{conv.k} * (conv.depth() + 1);
    return s;
}

// Bytes of all filters of a block's channels.
inline int64_t stem_filter_bytes(const ConvShape& s) { return int64_t{4} * s.depth() * s.k; }

inline Support fits_stem(const StemShape& s) {
    if (int64_t{4} * s.x_floats() > most_stem_bytes || stem_filter_bytes(s.conv) > most_stem_bytes) return refused("size");
    return supported;
}

// x and filters plain, all other images nhwc.
inline Support takes_stem(const Problem& problem, const Conv2d& a, bool gradient) {
    Problem plain = problem;
    bool fits = true;
    const auto relabel = [&](KernelTensor* tensors, int32_t count, int32_t but, int32_t or_but) {
        for (int32_t i = 0; i < count; ++i) {
            if (tensors[i].rank != 4) continue;
            const Layout wanted = i == but || i == or_but ? Layout::plain : Layout::nhwc;
            fits = fits && tensors[i].layout == wanted && elements_of_image(tensors[i]) < int64_t{1} << 30;
            tensors[i].layout = Layout::plain;
        }
    };
    relabel(plain.in, plain.n_in, 0, gradient ? 0 : 1);
    relabel(plain.out, plain.n_out, gradient ? 0 : -1, -1);
    if (!fits) return refused("layout");
    if (a.groups != 1) return refused("groups");
    if (problem.in[0].dim[1] > most_stem_channels) return refused("channels");
    return problem.in[0].dim[0] < 65536 ? plain_f32_input(plain) : refused("size");
}

inline Extent stem_blocks(const StemShape& s, int64_t images) {
    const int vec = s.conv.k % 4 == 0 ? 4 : 1;
    return {static_cast<unsigned>(images * s.walk.parts), blocks_for(s.conv.k, s.walk.units * vec)};
}
inline Extent stem_threads(const StemShape& s) { return {static_cast<unsigned>(s.walk.units * s.walk.rows)}; }
inline const CudaFunction& stem_function(const NhwcFunction& function, const StemShape& s) {
    return s.conv.k % 4 == 0 ? function.quads : function.ones;
}
// Of numbers of channels, or of sums of `sums` numbers of `bytes` for each channel of each thread.
inline int32_t stem_scratch(const StemShape& s, int fields, int sums, int bytes) {
    const int vec = s.conv.k % 4 == 0 ? 4 : 1, units = s.walk.units;
    return (std::max(4 * fields * units * vec, bytes * sums * vec * units * s.walk.rows) + 15) / 16 * 16;
}

}  // namespace xbench
