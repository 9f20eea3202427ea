// The host side of the direct f32 convolution on a GPU: which problems it takes, and how it cuts them. From the shape of an
// image alone, but for how many tiles a block makes one after the other.
#pragma once

#include <algorithm>

#include "kernels/conv2d/conv_args.h"
#include "kernels/conv2d/direct_tile.h"

namespace xbench {

// 3x3, stride 1, the same padding on all sides.
inline Support is_direct(const Conv2d& a) {
    if (a.r != 3 || a.s != 3) return refused("filter size");
    if (a.stride_h != 1 || a.stride_w != 1) return refused("stride");
    if (a.dilation_h != 1 || a.dilation_w != 1) return refused("dilation");
    if (a.pad_h != a.pad_w || a.pad_h > 2) return refused("padding");
    if (a.groups != 1) return refused("groups");
    return supported;
}

constexpr int64_t most_shared_bytes = 96 * 1024;  // of a block on every GPU from sm_80 on, beside what kernels declare
constexpr int64_t most_filter_bytes = 84 * 1024, x_bytes_at_once = 24 * 1024;

// Passes over the banks that the loads of a quarter warp need, added up over a filter group, for rows of `quads` quads.
inline int bank_passes(const DirectTile& t, int quads) {
    int passes = 0;
    for (int first = 0; first < t.columns * t.row_pairs; first += 8) {
        int lanes[8] = {}, most = 0;
        for (int position = first; position < std::min(first + 8, t.columns * t.row_pairs); ++position)
            most = std::max(most, ++lanes[(position / t.columns * rows_of_thread * quads + position % t.columns) % 8]);
        passes += most;
    }
    return passes;
}

inline void choose_pitch(DirectTile& t, int pad) {
    const int least = t.columns + (pad == 1 ? 2 : 1);
    int best = least;
    for (int quads = least; quads < least + 8; ++quads)
        if (bank_passes(t, quads) < bank_passes(t, best)) best = quads;
    t.pitch = quad * best;
}

inline int64_t filter_bytes(const DirectTile& t, int channels) {
    return int64_t{4} * channels * direct_taps * t.filter_pitch();
}

// Filters of all channels stay in shared memory if a block's fit; the groups of 8 are spread evenly over blocks.
inline void choose_filters(DirectTile& t, const ConvShape& s) {
    const int groups = (s.k + filters_of_thread - 1) / filters_of_thread;
    const auto share = [&](int most) {
        const int blocks = (groups + most - 1) / most;
        t.filter_groups = (groups + blocks - 1) / blocks;
        t.resident = filter_bytes(t, s.c) <= most_filter_bytes;
    };
    share(8);
    if (!t.resident) share(4);
}

inline void choose_positions(DirectTile& t, const ConvShape& s) {
    const int quads = (s.q + quad - 1) / quad, pairs = (s.p + 1) / 2;
    t.tiles_across = (quads + 31) / 32;
    t.columns = (quads + t.tiles_across - 1) / t.tiles_across;
    const int warps = t.filter_groups > 4 ? 2 : std::max(1, 8 / t.filter_groups);
    t.row_pairs = std::clamp(32 * warps / t.columns, 1, pairs);
    t.tiles_down = (pairs + t.row_pairs - 1) / t.row_pairs;
    t.row_pairs = (pairs + t.tiles_down - 1) / t.tiles_down;
    t.positions = (t.columns * t.row_pairs + 31) / 32 * 32;
}

inline DirectTile direct_tile(const ConvShape& s) {
    DirectTile t{};
    t.channels = 1;
    choose_filters(t, s);
    choose_positions(t, s);
    choose_pitch(t, s.pad_h);
    const int64_t x_bytes = int64_t{4} * t.x_floats();
    const int64_t left = t.resident ? most_shared_bytes - filter_bytes(t, s.c) : 2 * x_bytes_at_once;
    const int64_t each = t.resident ? x_bytes : x_bytes + filter_bytes(t, 1);
    const int64_t most = std::clamp<int64_t>((t.resident ? std::min(left, x_bytes_at_once) : left) / each, 1, s.c);
    const int64_t rounds = (s.c + most - 1) / most;
    t.channels = static_cast<int32_t>((s.c + rounds - 1) / rounds);
    t.pixel_floats = s.q % quad == 0 ? t.x_floats() : std::max(t.x_floats(), t.staged_floats());
    return t;
}

// After the tile: 128-bit accesses where rows and addresses allow. Outputs that are not whole quads are staged.
inline void set_vectors(DirectTile& t, const ConvShape& s, const float* x, const float* y) {
    t.x_vectors = s.w % quad == 0 && are_vectors(x);
    t.y_vectors = s.q % quad == 0 && are_vectors(y);
    if (!t.y_vectors) t.pixel_floats = std::max(t.x_floats(), t.staged_floats());
}

inline unsigned shared_bytes(const DirectTile& t, const ConvShape& s) {
    return static_cast<unsigned>(int64_t{4} * t.pixel_floats + filter_bytes(t, t.resident ? s.c : t.channels));
}

inline unsigned filter_blocks(const DirectTile& t, const ConvShape& s) { return blocks_for(s.k, t.filters()); }

// Filters that stay are read once for all tiles of a block; there are to be blocks for every multiprocessor still.
inline Extent direct_blocks(DirectTile& t, const ConvShape& s, int64_t images, int multiprocessors) {
    const int64_t all = images * t.tiles_across * t.tiles_down * filter_blocks(t, s);
    t.tiles_of_block = static_cast<int32_t>(std::clamp<int64_t>(all / (4 * multiprocessors), 1, t.tiles_down));
    return {static_cast<unsigned>(t.tiles_across) * blocks_for(t.tiles_down, t.tiles_of_block), filter_blocks(t, s),
            static_cast<unsigned>(images)};
}

inline Support fits_direct(const ConvShape& s) {
    return shared_bytes(direct_tile(s), s) <= most_shared_bytes ? supported : refused("size");
}

}  // namespace xbench
