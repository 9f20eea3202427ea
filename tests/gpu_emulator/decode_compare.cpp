// setp and set: comparisons, ordered or not, combined with a predicate.
#include <cmath>

#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/definedness.h"
#include "tests/gpu_emulator/half.h"
#include "tests/gpu_emulator/lanewise.h"

namespace xbench::ptx {
namespace {

enum Combine : uint16_t { alone, with_and, with_or, with_xor };

void combined_taint(Warp& warp, const Instruction& i, uint32_t holds) {
    const auto of = [&](uint32_t reg) { return warp.taint[reg / register_grain]; };
    uint32_t first = of(i.a) | of(i.b), second = first;
    if (i.mode != alone) {
        const uint32_t c = warp.mask(i.c) ^ (i.negated ? all_lanes : 0);
        const auto both = [&](uint32_t value, uint32_t taint) {
            return i.mode == with_and  ? undefined_and(value, taint, c, of(i.c))
                   : i.mode == with_or ? undefined_or(value, taint, c, of(i.c))
                                       : taint | of(i.c);
        };
        first = both(holds, first);
        second = both(~holds, second);
    }
    const auto set = [&](uint32_t reg, uint32_t undefined) {
        uint32_t& taint = warp.taint[reg / register_grain];
        taint = (taint & ~warp.active) | (undefined & warp.active);
    };
    set(i.d, first);
    if (i.d2 != no_register) set(i.d2, second);
}

template <auto compare, class T>
void set_predicate(Warp& warp, const Instruction& i) {
    const T *const a = warp.lanes<T>(i.a), *const b = warp.lanes<T>(i.b);
    uint32_t holds = 0;
    for (int l = 0; l < warp_lanes; ++l) holds |= static_cast<uint32_t>(compare(a[l], b[l])) << l;
    uint32_t other = ~holds;
    if (warp.any_taint) combined_taint(warp, i, holds);
    if (i.mode != alone) {
        const uint32_t c = warp.mask(i.c) ^ (i.negated ? all_lanes : 0);
        const auto join = [&](uint32_t x) { return i.mode == with_and ? x & c : i.mode == with_or ? x | c : x ^ c; };
        holds = join(holds);
        other = join(other);
    }
    warp.set_mask(i.d, holds);
    if (i.d2 != no_register) warp.set_mask(i.d2, other);
}

template <class T, class V>
Execute compare_of(const std::string& how) {
    constexpr bool real = std::is_floating_point_v<V>;
    if (how == "eq") return set_predicate<[](T a, T b) { return V(a) == V(b); }, T>;
    if (how == "ne") return set_predicate<[](T a, T b) { return real ? (V(a) < V(b)) || (V(a) > V(b)) : V(a) != V(b); }, T>;
    if (how == "lt" || how == "lo") return set_predicate<[](T a, T b) { return V(a) < V(b); }, T>;
    if (how == "le" || how == "ls") return set_predicate<[](T a, T b) { return V(a) <= V(b); }, T>;
    if (how == "gt" || how == "hi") return set_predicate<[](T a, T b) { return (V(a) > V(b)); }, T>;
    if (how == "ge" || how == "hs") return set_predicate<[](T a, T b) { return V(a) >= V(b); }, T>;
    if constexpr (real) {
        if (how == "equ") return set_predicate<[](T a, T b) { return !((V(a) < V(b)) || (V(a) > V(b))); }, T>;
        if (how == "neu") return set_predicate<[](T a, T b) { return !(V(a) == V(b)); }, T>;
        if (how == "ltu") return set_predicate<[](T a, T b) { return !(V(a) >= V(b)); }, T>;
        if (how == "leu") return set_predicate<[](T a, T b) { return !(V(a) > V(b)); }, T>;
        if (how == "gtu") return set_predicate<[](T a, T b) { return !(V(a) <= V(b)); }, T>;
        if (how == "geu") return set_predicate<[](T a, T b) { return !(V(a) < V(b)); }, T>;
        if (how == "num") return set_predicate<[](T a, T b) { return !std::isnan(V(a)) && !std::isnan(V(b)); }, T>;
        if (how == "nan") return set_predicate<[](T a, T b) { return std::isnan(V(a)) || std::isnan(V(b)); }, T>;
    }
    return nullptr;
}

Execute set_value(Decode& d) {
    const Statement& s = d.statement();
    d.binary();
    if (d.type == Scalar::f16x2 && s.words[1] == "eq")
        return map2<[](Pair<Half> a, Pair<Half> b) {
            return Pair<Half>{Half(double(a.low) == double(b.low)), Half(double(a.high) == double(b.high))};
        },
                    Pair<Half>, Pair<Half>>;
    if (d.type == Scalar::f32 && s.words[1] == "gt")
        return map2<[](float a, float b) { return (a > b) ? 1.0f : 0.0f; }, float, float>;
    return nullptr;
}

}  // namespace

Execute decode_compare(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    if (s.name() == "set") return set_value(d);
    if (s.name() != "setp") return nullptr;
    i.taint = Taint::ignore;  // in set_predicate()
    i.d = d.result();
    i.d2 = d.second_result();
    i.a = d.source(1);
    i.b = d.source(2);
    if (s.operands.size() > 3) {
        i.c = d.predicate(3);
        i.mode = s.has("and") ? with_and : s.has("or") ? with_or : with_xor;
    }
    const std::string& how = s.words[1];
    switch (d.type) {
        case Scalar::f32: i.counted_as = Class::f32; return compare_of<float, float>(how);
        case Scalar::f64: i.counted_as = Class::f64; return compare_of<double, double>(how);
        case Scalar::f16: i.counted_as = Class::half; return compare_of<Half, double>(how);
        case Scalar::bf16: i.counted_as = Class::half; return compare_of<Bfloat16, double>(how);
        default: return for_integer(d.type, [&]<class T>() -> Execute { return compare_of<T, T>(how); });
    }
}

}  // namespace xbench::ptx
