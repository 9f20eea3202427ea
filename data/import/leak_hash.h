// Small gray copies of images, and perceptual hashes of them in all eight orientations, by which images that show the same
// are found without comparing all pixels of all pairs.
#pragma once

#include <array>
#include <cstdint>

#include "data/import/resize.h"

namespace xbench {

inline constexpr int64_t thumbnail_side = 32;
using Thumbnail = std::array<uint8_t, thumbnail_side * thumbnail_side>;
inline constexpr size_t orientations = 8;

// A gray copy by the Lanczos window, of planes {c,h,w} of 8 bits; three planes are R, G, B.
Thumbnail make_thumbnail(Resizer& resizer, const uint8_t* planes, int64_t channels, int64_t height, int64_t width);

// pHash: the low 8x8 coefficients of the 2-D DCT-II, one bit each: above their median or not. Of the eight orientations from
// one transform: mirroring columns changes the sign of odd columns' coefficients, mirroring rows that of odd rows',
// transposing swaps the two. Orientation bits: 1 columns mirrored, 2 rows mirrored, 4 transposed after that. 0 is the image
// as it is.
std::array<uint64_t, orientations> perceptual_hashes(const Thumbnail& thumbnail);

// Pixels in orientation o.
Thumbnail oriented(const Thumbnail& thumbnail, size_t orientation);
// Correlation of two thumbnails; 0 where one of them is flat.
double correlation(const Thumbnail& a, const Thumbnail& b);

}  // namespace xbench
