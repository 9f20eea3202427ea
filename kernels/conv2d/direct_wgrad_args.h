// The host side of the direct f32 gradient of filters on a GPU: how it cuts its work, from the shape of an image alone, so
// that the sums do not depend on the batch.
#pragma once

#include <algorithm>

#include "kernels/conv2d/direct_args.h"
#include "kernels/conv2d/direct_wgrad_tile.h"
#include "kernels/cuda/image_sums.h"

namespace xbench {

// The largest power of two that is at most `value`.
inline int power_below(int value) {
    int power = 1;
    while (2 * power <= value) power *= 2;
    return power;
}
// `all` things in as few blocks of at most `most` as there can be, evenly.
inline int even_share(int all, int most) {
    const int blocks = (all + most - 1) / most;
    return (all + blocks - 1) / blocks;
}

// As many lanes side by side as leave none idle, as far as there is a choice.
inline int choose_strips(int quads, int lanes) {
    int best = 1;
    for (int strips = 1; strips <= std::min(lanes, quads); strips *= 2)
        if ((quads + strips - 1) / strips * strips <= (quads + best - 1) / best * best) best = strips;
    return best;
}

// Passes over the banks that the loads of a block's quarter warps need, for rows and planes of so many quads.
inline int bank_passes(const WgradTile& t, int pitch, int plane, bool of_x) {
    int passes = 0;
    for (int first = 0; first < t.filter_groups * t.channels * t.lanes(); first += 8) {
        int64_t seen[8] = {};
        int lanes[8] = {}, most = 0, count = 0;
        for (int thread = first; thread < first + 8; ++thread) {
            const int lane = thread % t.lanes(), channel = thread / t.lanes() % t.channels;
            const int of = of_x ? channel : thread / t.lanes() / t.channels;
            const int64_t at = lane % t.strips + int64_t{rows_of_slice} * (lane / t.strips) * pitch + int64_t{of} * plane;
            if (std::find(seen, seen + count, at) != seen + count) continue;  // the same quad is read once
            seen[count++] = at;
            most = std::max(most, ++lanes[at % 8]);
        }
        passes += most;
    }
    return passes;
}

inline void choose_pitch(const WgradTile& t, int quads, int rows, bool of_x, int32_t& pitch, int32_t& plane) {
    int best_pitch = quads, best_plane = rows * quads, fewest = bank_passes(t, best_pitch, best_plane, of_x);
    for (int p = quads; p < quads + (t.slices > 1 ? 4 : 1); ++p)
        for (int extra = 0; extra < 8; ++extra)
            if (const int passes = bank_passes(t, p, rows * p + extra, of_x); passes < fewest)
                best_pitch = p, best_plane = rows * p + extra, fewest = passes;
    pitch = wgrad_quad * best_pitch;
    plane = wgrad_quad * best_plane;
}

inline void choose_lanes(WgradTile& t, const ConvShape& s) {
    const int lanes = power_below(std::clamp(256 / (t.filter_groups * t.channels), 1, 32));
    t.strips = choose_strips(t.quads, lanes);
    t.slices = std::min(lanes / t.strips, power_below(std::max(s.p / rows_of_slice, 1)));
    choose_pitch(t, t.quads + (s.pad_h == 1 ? 2 : 1), t.ring(), true, t.x_pitch, t.x_plane);
    choose_pitch(t, t.quads, t.rows(), false, t.dy_pitch, t.dy_plane);
    t.filter_blocks = (s.k + t.filters() - 1) / t.filters();
    t.channel_blocks = (s.c + t.channels - 1) / t.channels;
    t.bias_lanes = std::min(power_below(t.threads() / t.filters()), 8);
}

// Parts of images where their partial sums are few beside the images, whole leaves where they are more than those.
inline void choose_parts(WgradTile& t, const ConvShape& s) {
    const int64_t image = int64_t{s.c} * s.h * s.w + int64_t{s.k} * s.p * s.q, sums = int64_t{s.k} * (wgrad_taps * s.c + 1);
    t.of_leaves = sums > 2 * image || t.filter_blocks * t.channel_blocks >= 16;
    const int64_t most = t.of_leaves ? 1 : std::clamp<int64_t>(image / (8 * sums), 1, std::max(1, s.p / 8));
    const int stages = (s.p + t.rows() - 1) / t.rows();
    const int stages_of_part = static_cast<int>((stages + most - 1) / most);
    t.rows_of_part = stages_of_part * t.rows();
    t.parts = (stages + stages_of_part - 1) / stages_of_part;
}

inline WgradTile wgrad_tile(const ConvShape& s) {
    WgradTile t{};
    t.quads = (s.q + wgrad_quad - 1) / wgrad_quad;
    t.filter_groups = even_share((s.k + filters_of_group - 1) / filters_of_group, 16);
    t.channels = even_share(s.c, 512 / t.filter_groups);
    choose_lanes(t, s);
    while (int64_t{4} * t.shared_floats() > most_shared_bytes && t.channels * t.filter_groups > 1) {
        (t.channels > t.filter_groups ? t.channels : t.filter_groups) /= 2;
        choose_lanes(t, s);
    }
    choose_parts(t, s);
    return t;
}

inline Support fits_wgrad(const ConvShape& s) {
    return s.q <= 512 && int64_t{4} * wgrad_tile(s).shared_floats() <= most_shared_bytes ? supported : refused("size");
}

inline int64_t wgrad_width(const ConvShape& s) { return int64_t{s.k} * (wgrad_taps * s.c + 1); }
inline int64_t wgrad_chunks(const WgradTile& t, int64_t images, int leaves) {
    return t.of_leaves ? leaves : images * t.parts;
}
inline size_t wgrad_workspace(const ConvShape& s, int64_t images, int leaves) {
    return sizeof(float) * static_cast<size_t>(wgrad_chunks(wgrad_tile(s), images, leaves) * wgrad_width(s));
}
inline Extent wgrad_blocks(const WgradTile& t, int64_t images, int leaves) {
    return {static_cast<unsigned>(t.filter_blocks * t.channel_blocks), 1,
            static_cast<unsigned>(wgrad_chunks(t, images, leaves))};
}

// The second half: partial sums in the workspace to dw and db.
inline void finish_wgrad(const CudaFunction& finish, const KernelArgs& args, const ConvShape& s, const WgradTile& t,
                         CudaQueue& queue) noexcept {
    const int64_t width = wgrad_width(s);
    queue.launch(finish, {blocks_for(width, sum_columns)}, {sum_columns, sum_lanes}, 0,
                 Partials<float>{static_cast<const float*>(args.workspace), width, t.parts, t.of_leaves}, queue.step(),
                 address<float>(args.out[0]), address<float>(args.out, args.n_out, 1), int{s.c});
}

}  // namespace xbench
