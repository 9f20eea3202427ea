// What lanes of a warp tell each other: shfl, vote, match, redux, elect, activemask.
#include <algorithm>

#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/lanewise.h"
#include "tests/gpu_emulator/report.h"

namespace xbench::ptx {
namespace {

enum ShuffleMode : uint16_t { shuffle_up, shuffle_down, shuffle_butterfly, shuffle_index };

void shuffle(Warp& warp, const Instruction& i) {
    const uint32_t *const a = warp.lanes<uint32_t>(i.a), *const b = warp.lanes<uint32_t>(i.b),
                          *const c = warp.lanes<uint32_t>(i.c);
    uint32_t out[warp_lanes], in_range = 0, undefined = 0;
    const uint32_t tainted = warp.any_taint && i.read_count > 0 ? warp.taint[i.reads[0]] : 0;
    for (int l = 0; l < warp_lanes; ++l) {
        const int clamp = static_cast<int>(c[l] & 31), segment = static_cast<int>(c[l] >> 8 & 31),
                  by = static_cast<int>(b[l] & 31);
        const int lowest = l & segment, highest = lowest | (clamp & ~segment);
        int from = l;
        bool right = false;
        switch (i.mode) {
            case shuffle_up:
                from = l - by;
                right = from >= highest;
                break;  // for up, clamp gives the lowest lane
            case shuffle_down:
                from = l + by;
                right = from <= highest;
                break;
            case shuffle_butterfly:
                from = l ^ by;
                right = from <= highest;
                break;
            default:
                from = lowest | (by & ~segment);
                right = from <= highest;
                break;
        }
        if (!right)
            from = l;
        else
            in_range |= 1u << l;
        if ((warp.active >> l & 1) && !(warp.active >> from & 1))
            report(warp, i, l, Fault::inactive_lane, "lane " + std::to_string(from));
        out[l] = a[from];
        undefined |= (tainted >> from & 1) << l;
    }
    put(warp, i.d, out);
    if (i.d2 != no_register) warp.set_mask(i.d2, in_range);
    if (warp.any_taint)
        for (int w = 0; w < i.write_count; ++w)
            warp.taint[i.writes[w]] = (warp.taint[i.writes[w]] & ~warp.active) | (undefined & warp.active);
}

enum VoteMode : uint16_t { vote_ballot, vote_all, vote_any, vote_uniform };

void vote(Warp& warp, const Instruction& i) {
    const uint32_t yes = (warp.mask(i.a) ^ (i.negated ? all_lanes : 0)) & warp.active;
    if (i.mode == vote_ballot) {
        uint32_t out[warp_lanes];
        std::fill_n(out, warp_lanes, yes);
        return put(warp, i.d, out);
    }
    const bool all = yes == warp.active, any = yes != 0;
    const bool holds = i.mode == vote_all ? all : i.mode == vote_any ? any : all || !any;
    warp.set_mask(i.d, holds ? all_lanes : 0);
}

template <class T, auto join>
void reduce(Warp& warp, const Instruction& i) {
    const T* const a = warp.lanes<T>(i.a);
    T result{};
    bool first = true;
    for (uint32_t left = warp.active; left; left &= left - 1) {
        const T value = a[__builtin_ctz(left)];
        result = first ? value : join(result, value);
        first = false;
    }
    T out[warp_lanes];
    std::fill_n(out, warp_lanes, result);
    put(warp, i.d, out);
}

template <class T>
Execute reduction(const Statement& s) {
    if (s.has("add"))
        return reduce<T, [](T a, T b) { return static_cast<T>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b)); }>;
    if (s.has("and")) return reduce<T, [](T a, T b) { return static_cast<T>(a & b); }>;
    if (s.has("or")) return reduce<T, [](T a, T b) { return static_cast<T>(a | b); }>;
    if (s.has("xor")) return reduce<T, [](T a, T b) { return static_cast<T>(a ^ b); }>;
    if (s.has("min")) return reduce<T, [](T a, T b) { return std::min(a, b); }>;
    if (s.has("max")) return reduce<T, [](T a, T b) { return std::max(a, b); }>;
    return nullptr;
}

template <class T>
void match_any(Warp& warp, const Instruction& i) {
    const T* const a = warp.lanes<T>(i.a);
    uint32_t out[warp_lanes] = {};
    for (int l = 0; l < warp_lanes; ++l)
        for (int other = 0; other < warp_lanes; ++other) out[l] |= static_cast<uint32_t>(a[l] == a[other]) << other;
    for (uint32_t& lane : out) lane &= warp.active;
    put(warp, i.d, out);
}

void active_mask(Warp& warp, const Instruction& i) {
    uint32_t out[warp_lanes];
    std::fill_n(out, warp_lanes, warp.active);
    put(warp, i.d, out);
}

void elect(Warp& warp, const Instruction& i) {
    const auto leader = static_cast<uint32_t>(__builtin_ctz(warp.active));
    warp.set_mask(i.d2, 1u << leader);
    if (i.d == no_register) return;
    uint32_t out[warp_lanes];
    std::fill_n(out, warp_lanes, leader);
    put(warp, i.d, out);
}

}  // namespace

Execute decode_warp(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    const std::string& name = s.name();
    if (name != "shfl" && name != "vote" && name != "match" && name != "redux" && name != "elect" && name != "activemask")
        return nullptr;
    i.counted_as = Class::shuffle;
    i.taint = Taint::whole_warp;
    if (name == "activemask") {
        i.d = d.result();
        return active_mask;
    }
    if (name == "elect") {
        if (s.operands.at(0).kind == OperandKind::reg) i.d = d.result();
        i.d2 = d.second_result();
        d.sync(d.source(1, 4));
        return elect;
    }
    i.d = d.result();
    if (name == "shfl") {
        i.taint = Taint::ignore;  // lane by lane, in shuffle()
        i.d2 = d.second_result();
        i.a = d.source(1, 4);
        i.b = d.source(2, 4);
        i.c = d.source(3, 4);
        i.mode = s.has("up") ? shuffle_up : s.has("down") ? shuffle_down : s.has("bfly") ? shuffle_butterfly : shuffle_index;
        if (s.has("sync")) d.sync(d.source(4, 4));
        return shuffle;
    }
    if (name == "vote") {
        i.a = d.predicate(1);
        i.mode = s.has("ballot") ? vote_ballot : s.has("all") ? vote_all : s.has("any") ? vote_any : vote_uniform;
        if (s.has("sync")) d.sync(d.source(2, 4));
        return vote;
    }
    i.a = d.source(1);
    d.sync(d.source(2, 4));
    if (name == "match") {
        if (!s.has("any")) return nullptr;
        return bytes_of(d.type) == 8 ? Execute{match_any<uint64_t>} : Execute{match_any<uint32_t>};
    }
    return d.type == Scalar::s32 ? reduction<int32_t>(s) : reduction<uint32_t>(s);
}

}  // namespace xbench::ptx
