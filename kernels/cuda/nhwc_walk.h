// How the threads of a block share images in nhwc, as host and device see it. Plain data. Threads side by side have the
// channels of a pixel, four each where they are a multiple of four, so that every access of a block is one piece.
#pragma once

#include <cstdint>

namespace xbench {

constexpr int nhwc_threads = 256;  // of a block, at most

struct NhwcWalk {
    int32_t channels, items;  // of a pixel; pixels (or windows) of an image
    int32_t units, rows;      // threads: side by side, and items at a time
    int32_t part, parts;      // items of a block, one after the other; blocks of an image
};

// From the shape of an image alone, as sums over it are taken part by part. A block makes `passes` over its rows of threads,
// and has `least` items if the image has.
inline NhwcWalk nhwc_walk(int64_t channels, int64_t items, int vec, int passes, int least) {
    const auto share = [](int32_t count, int32_t by) { return (count + by - 1) / by; };
    NhwcWalk walk{static_cast<int32_t>(channels), static_cast<int32_t>(items), 0, 0, 0, 0};
    const int32_t all = share(walk.channels, vec);
    walk.units = share(all, share(all, nhwc_threads));
    walk.rows = nhwc_threads / walk.units;
    if (walk.rows > walk.items) walk.rows = walk.items;
    walk.part = passes * walk.rows > least ? passes * walk.rows : least;
    walk.parts = share(walk.items, walk.part);
    return walk;
}

}  // namespace xbench
