// The register tile of the gradients of filters: outer products of a few channels, which are broadcast, and two vectors of
// others. 16 multiply-adds for 2 + 8 loads with AVX-512; 12 for 2 + 6 with AVX2, where 8 would only just hide the latency
// of two units. The channels that are broadcast lie side by side and come from one line of the cache.
#pragma once

#include "kernels/conv2d/blocked_tile.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

// The tile: input channels x vectors of output channels. AVX2: 6 x 2, as 16 channels are 5 + 5 + 6.
constexpr int wgrad_channels = vf_registers == 32 ? 8 : 6, wgrad_parts = (block + wgrad_channels - 1) / wgrad_channels;

// A block of 16 channels in wgrad_parts equal parts: the first channel of part `chunk`, counted over all blocks.
XB_INLINE int64_t wgrad_chunk_begin(int64_t chunk) {
    return chunk / wgrad_parts * block + chunk % wgrad_parts * block / wgrad_parts;
}
XB_INLINE int64_t wgrad_chunk_channels(int64_t chunk, int64_t channels) {
    const int64_t begin = wgrad_chunk_begin(chunk), end = wgrad_chunk_begin(chunk + 1);
    return (end < channels ? end : channels) - begin;
}
// How many parts some channels have.
XB_INLINE int64_t wgrad_chunks(int64_t channels) {
    int64_t chunks = channels / block * wgrad_parts;
    while (wgrad_chunk_begin(chunks) < channels) ++chunks;
    return chunks;
}

}  // namespace
}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
