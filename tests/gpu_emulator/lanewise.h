// Operations on 32 lanes at once: result lanes that are not active keep their value.
#pragma once

#include <cstring>

#include "tests/gpu_emulator/warp.h"

namespace xbench::ptx {

template <class T>
void put(const Warp& warp, uint32_t to, const T* values) {
    T* const lanes = warp.lanes<T>(to);
    if (warp.active == all_lanes) {
        std::memcpy(lanes, values, warp_lanes * sizeof(T));
        return;
    }
    for (int l = 0; l < warp_lanes; ++l) lanes[l] = warp.active >> l & 1 ? values[l] : lanes[l];
}

// A result's register is one of the operands' or lies apart from it.
template <class R, class F>
void each_lane(const Warp& warp, uint32_t to, F&& f) {
    if (warp.active == all_lanes) {
        R* const out = warp.lanes<R>(to);
#pragma GCC ivdep
        for (int l = 0; l < warp_lanes; ++l) out[l] = f(l);
        return;
    }
    alignas(64) R out[warp_lanes];
    for (int l = 0; l < warp_lanes; ++l) out[l] = f(l);
    put(warp, to, out);
}

template <auto f, class R, class A>
void map1(Warp& warp, const Instruction& i) {
    const A* const a = warp.lanes<A>(i.a);
    each_lane<R>(warp, i.d, [&](int l) { return f(a[l]); });
}

template <auto f, class R, class A, class B = A>
void map2(Warp& warp, const Instruction& i) {
    const A* const a = warp.lanes<A>(i.a);
    const B* const b = warp.lanes<B>(i.b);
    each_lane<R>(warp, i.d, [&](int l) { return f(a[l], b[l]); });
}

template <auto f, class R, class A, class B = A, class C = A>
void map3(Warp& warp, const Instruction& i) {
    const A* const a = warp.lanes<A>(i.a);
    const B* const b = warp.lanes<B>(i.b);
    const C* const c = warp.lanes<C>(i.c);
    each_lane<R>(warp, i.d, [&](int l) { return f(a[l], b[l], c[l]); });
}

// f.template operator()<T>() for the unsigned type of so many bytes.
template <class F>
Execute for_bytes(int bytes, F&& f) {
    switch (bytes) {
        case 1: return f.template operator()<uint8_t>();
        case 2: return f.template operator()<uint16_t>();
        case 4: return f.template operator()<uint32_t>();
        case 8: return f.template operator()<uint64_t>();
        default: return nullptr;
    }
}

// The same by the sign as well.
template <class F>
Execute for_integer(Scalar type, F&& f) {
    switch (type) {
        case Scalar::u8: return f.template operator()<uint8_t>();
        case Scalar::u16: return f.template operator()<uint16_t>();
        case Scalar::u32: return f.template operator()<uint32_t>();
        case Scalar::u64: return f.template operator()<uint64_t>();
        case Scalar::s8: return f.template operator()<int8_t>();
        case Scalar::s16: return f.template operator()<int16_t>();
        case Scalar::s32: return f.template operator()<int32_t>();
        case Scalar::s64: return f.template operator()<int64_t>();
        default: return nullptr;
    }
}

}  // namespace xbench::ptx
