// The accesses that nearly all of a kernel's loads and stores are: aligned, inside of shared memory or of the allocation
// that the instruction met last, nothing to count and no races to look for. Whatever is not so goes through access.h, which
// says why.
#pragma once

#include <algorithm>
#include <bit>

#include "tests/gpu_emulator/lanewise.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace xbench::ptx {

// Where the block keeps the allocation that accesses by this register met last.
inline Block::Range& range_of(Block& block, const Instruction& i) {
    constexpr uint32_t odd = 0x9e3779b1;
    return block.ranges[(i.a / register_grain * odd >> 20) % block.ranges.size()];
}

struct QuickAccess {
    uint8_t* data = nullptr;
    uint8_t* shadow = nullptr;
    uint32_t index[warp_lanes];  // in units of the access
    bool contiguous = false;     // all lanes, one after the other
};

// False: take the long way. Lanes that take no part get the place of one that does.
inline bool quick_access(const Warp& warp, const Instruction& i, uint32_t bytes, QuickAccess& access) {
    Block& block = *warp.block;
    if (!block.quick || warp.active == 0) return false;
    const auto first = static_cast<size_t>(std::countr_zero(warp.active));
    const auto shift = static_cast<uint32_t>(std::countr_zero(bytes));
    alignas(64) uint32_t offset[warp_lanes];
    uint64_t end = 0;
    if (i.space == Space::shared && i.narrow_address) {
        const uint32_t* const base = warp.lanes<uint32_t>(i.a);
        for (size_t l = 0; l < warp_lanes; ++l) offset[l] = base[l] + static_cast<uint32_t>(i.offset) - shared_begin;
        end = block.shared_bytes - shared_begin;
        access.data = block.shared.data() + shared_begin;
        access.shadow = block.shared_shadow.data() + shared_begin;
    } else if (i.space == Space::global && i.a != no_register && !i.narrow_address) {
        const Block::Range& range = range_of(block, i);
        const uint64_t* const base = warp.lanes<uint64_t>(i.a);
        uint64_t above = 0;
        const uint32_t active = warp.active;
        for (size_t l = 0; l < warp_lanes; ++l) {
            const uint64_t at = base[l] + static_cast<uint64_t>(i.offset) - range.begin;
            offset[l] = static_cast<uint32_t>(at);
            above |= active >> l & 1 ? at >> 32 : 0;
        }
        if (above) return false;
        end = range.bytes;
        access.data = range.data;
        access.shadow = range.shadow;
    } else {
        return false;
    }
    if (warp.active != all_lanes) {
        const uint32_t other = offset[first];
        for (size_t l = 0; l < warp_lanes; ++l) offset[l] = warp.active >> l & 1 ? offset[l] : other;
    }
    uint32_t highest = 0, bits = 0, uneven = 0;
    for (size_t l = 0; l < warp_lanes; ++l) {
        highest = std::max(highest, offset[l]);
        bits |= offset[l];
        uneven |= offset[l] ^ (offset[0] + static_cast<uint32_t>(l) * bytes);
        access.index[l] = offset[l] >> shift;
    }
    // Allocations and shared memory begin at multiples of 512: an offset is as misaligned as its address.
    if (uint64_t{highest} + bytes > end || (bits & (bytes - 1))) return false;
    access.contiguous = uneven == 0;
    return true;
}

template <class S>
bool all_defined(const QuickAccess& access) {
    constexpr auto ones = static_cast<S>(0x0101010101010101ull);
    const S* const shadow = reinterpret_cast<const S*>(access.shadow);
    S other = 0;
    for (size_t l = 0; l < warp_lanes; ++l) other |= static_cast<S>(shadow[access.index[l]] ^ ones);
    return other == 0;
}

// Of accesses of 16 bytes.
inline bool quads_defined(const QuickAccess& access) {
#if defined(__SSE2__)
    const __m128i ones = _mm_set1_epi8(written);
    __m128i other = _mm_setzero_si128();
    for (size_t l = 0; l < warp_lanes; ++l) {
        const auto* const at = reinterpret_cast<const __m128i*>(access.shadow + size_t{access.index[l]} * 16);
        other = _mm_or_si128(other, _mm_xor_si128(_mm_loadu_si128(at), ones));
    }
    return _mm_movemask_epi8(_mm_cmpeq_epi8(other, _mm_setzero_si128())) == 0xffff;
#else
    QuickAccess halves = access;
    for (uint32_t& index : halves.index) index *= 2;
    if (!all_defined<uint64_t>(halves)) return false;
    for (uint32_t& index : halves.index) ++index;
    return all_defined<uint64_t>(halves);
#endif
}

// Four words of each lane into four registers.
inline void load_quads(const Warp& warp, const Instruction& i, const QuickAccess& access) {
    alignas(64) uint32_t out[4][warp_lanes];
#if defined(__SSE2__)
    for (size_t l = 0; l < warp_lanes; l += 4) {
        __m128 rows[4];
        for (size_t r = 0; r < 4; ++r)
            rows[r] = _mm_loadu_ps(reinterpret_cast<const float*>(access.data + size_t{access.index[l + r]} * 16));
        _MM_TRANSPOSE4_PS(rows[0], rows[1], rows[2], rows[3]);
        for (size_t e = 0; e < 4; ++e) _mm_store_ps(reinterpret_cast<float*>(&out[e][l]), rows[e]);
    }
#else
    for (size_t l = 0; l < warp_lanes; ++l)
        for (size_t e = 0; e < 4; ++e)
            std::memcpy(&out[e][l], access.data + size_t{access.index[l]} * 16 + 4 * e, sizeof(uint32_t));
#endif
    for (size_t e = 0; e < 4; ++e)
        if (i.list[e] != no_register) put(warp, i.list[e], out[e]);
}

inline bool all_defined(const QuickAccess& access, uint32_t bytes) {
    if (access.contiguous) {
        constexpr uint64_t ones = 0x0101010101010101;
        const uint8_t* const shadow = access.shadow + size_t{access.index[0]} * bytes;
        uint64_t other = 0;
        for (size_t b = 0; b < size_t{bytes} * warp_lanes; b += 8) {
            uint64_t word;
            std::memcpy(&word, shadow + b, 8);
            other |= word ^ ones;
        }
        return other == 0;
    }
    switch (bytes) {
        case 1: return all_defined<uint8_t>(access);
        case 2: return all_defined<uint16_t>(access);
        case 4: return all_defined<uint32_t>(access);
        case 8: return all_defined<uint64_t>(access);
        default: break;
    }
    return quads_defined(access);
}

// Loads elements of type E into registers of type R. False: nothing was done.
template <class E, class R>
bool quick_load(Warp& warp, const Instruction& i) {
    const uint32_t bytes = static_cast<uint32_t>(sizeof(E)) * i.count;
    QuickAccess access;
    if (!quick_access(warp, i, bytes, access) || !all_defined(access, bytes)) return false;
    if (warp.any_taint)
        for (int w = 0; w < i.write_count; ++w) warp.taint[i.writes[w]] &= ~warp.active;
    if constexpr (sizeof(E) == 4 && sizeof(R) == 4)
        if (i.count == 4) {
            load_quads(warp, i, access);
            return true;
        }
    const E* const data = reinterpret_cast<const E*>(access.data);
    for (uint32_t e = 0; e < i.count; ++e) {
        if (i.list[e] == no_register) continue;
        alignas(64) R out[warp_lanes];
        if (access.contiguous && i.count == 1) {
            const E* const from = data + access.index[0];
            for (size_t l = 0; l < warp_lanes; ++l) out[l] = static_cast<R>(from[l]);
        } else {
            for (size_t l = 0; l < warp_lanes; ++l) out[l] = static_cast<R>(data[access.index[l] * i.count + e]);
        }
        put(warp, i.list[e], out);
    }
    return true;
}

template <class E, class R>
bool quick_store(Warp& warp, const Instruction& i) {
    const uint32_t bytes = static_cast<uint32_t>(sizeof(E)) * i.count;
    QuickAccess access;
    if (warp.any_taint || !quick_access(warp, i, bytes, access)) return false;
    E* const data = reinterpret_cast<E*>(access.data);
    if (access.contiguous && i.count == 1 && warp.active == all_lanes) {
        E* const to = data + access.index[0];
        const R* const from = warp.lanes<R>(i.list[0]);
        for (size_t l = 0; l < warp_lanes; ++l) to[l] = static_cast<E>(from[l]);
        std::memset(access.shadow + access.index[0] * sizeof(E), written, sizeof(E) * warp_lanes);
        return true;
    }
    for (uint32_t left = warp.active; left; left &= left - 1) {
        const auto l = static_cast<size_t>(std::countr_zero(left));
        for (uint32_t e = 0; e < i.count; ++e)
            data[access.index[l] * i.count + e] = static_cast<E>(warp.lanes<R>(i.list[e])[l]);
        std::memset(access.shadow + size_t{access.index[l]} * bytes, written, bytes);
    }
    return true;
}

}  // namespace xbench::ptx
