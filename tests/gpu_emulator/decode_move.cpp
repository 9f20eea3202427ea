// Moves, packing and unpacking, selections, logic of predicates, addresses of spaces, and registers that count.
#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/definedness.h"
#include "tests/gpu_emulator/lanewise.h"

namespace xbench::ptx {
namespace {

// Vector elements into one wide register.
template <class T>
void pack(Warp& warp, const Instruction& i) {
    T* const to = warp.lanes<T>(i.d);
    for (int e = 0; e < i.count; ++e) {
        T from[warp_lanes];
        std::memcpy(from, warp.lanes<T>(i.list[e]), sizeof from);
        for (int l = 0; l < warp_lanes; ++l)
            if (warp.active >> l & 1) to[l * i.count + e] = from[l];
    }
}

template <class T>
void unpack(Warp& warp, const Instruction& i) {
    T wide[warp_lanes * 8];
    std::memcpy(wide, warp.lanes<T>(i.a), sizeof(T) * warp_lanes * i.count);
    for (int e = 0; e < i.count; ++e) {
        if (i.list[e] == no_register) continue;
        T out[warp_lanes];
        for (int l = 0; l < warp_lanes; ++l) out[l] = wide[l * i.count + e];
        put(warp, i.list[e], out);
    }
}

template <class T>
void select(Warp& warp, const Instruction& i) {
    const uint32_t chosen = warp.mask(i.c) ^ (i.negated ? all_lanes : 0);
    const T *const a = warp.lanes<T>(i.a), *const b = warp.lanes<T>(i.b);
    T out[warp_lanes];
    for (int l = 0; l < warp_lanes; ++l) out[l] = chosen >> l & 1 ? a[l] : b[l];
    put(warp, i.d, out);
}

enum PredicateMode : uint16_t { p_and, p_or, p_xor, p_not, p_move };

uint32_t taint_of(const Warp& warp, uint32_t reg) { return reg == no_register ? 0 : warp.taint[reg / register_grain]; }

void predicate_taint(Warp& warp, const Instruction& i, uint32_t a, uint32_t b) {
    const uint32_t of_a = taint_of(warp, i.a), of_b = taint_of(warp, i.b);
    const uint32_t undefined = i.mode == p_and  ? undefined_and(a, of_a, b, of_b)
                               : i.mode == p_or ? undefined_or(a, of_a, b, of_b)
                                                : of_a | of_b;
    uint32_t& taint = warp.taint[i.d / register_grain];
    taint = (taint & ~warp.active) | (undefined & warp.active);
}

void predicate_logic(Warp& warp, const Instruction& i) {
    const uint32_t a = warp.mask(i.a), b = i.b == no_register ? 0 : warp.mask(i.b);
    if (warp.any_taint) predicate_taint(warp, i, a, b);
    switch (i.mode) {
        case p_and: return warp.set_mask(i.d, a & b);
        case p_or: return warp.set_mask(i.d, a | b);
        case p_xor: return warp.set_mask(i.d, a ^ b);
        case p_not: return warp.set_mask(i.d, ~a);
        default: return warp.set_mask(i.d, a);
    }
}

void predicate_constant(Warp& warp, const Instruction& i) { warp.set_mask(i.d, i.offset ? all_lanes : 0); }

template <class T>
void clock(Warp& warp, const Instruction& i) {
    T now[warp_lanes];
    for (T& lane : now) lane = static_cast<T>(warp.steps);
    put(warp, i.d, now);
}

Execute move(Decode& d) {
    Instruction& i = d.instruction();
    const Statement& s = d.statement();
    i.counted_as = Class::move;
    if (s.operands.at(1).kind == OperandKind::vector) {
        i.d = d.result();
        const int bytes = d.operand_bytes(0) / static_cast<int>(s.operands[1].elements.size());
        i.list = d.vector(1, bytes, false);
        return for_bytes(bytes, []<class T>() -> Execute { return pack<T>; });
    }
    if (s.operands[0].kind == OperandKind::vector) {
        const int bytes = bytes_of(d.type) / static_cast<int>(s.operands[0].elements.size());
        i.a = d.source(1);
        i.list = d.vector(0, bytes, true);
        return for_bytes(bytes, []<class T>() -> Execute { return unpack<T>; });
    }
    i.d = d.result();
    if (d.type == Scalar::pred) {
        i.offset = static_cast<int64_t>(s.operands[1].immediate);
        if (s.operands[1].kind == OperandKind::immediate) return predicate_constant;
        i.a = d.source(1, 4);
        i.mode = p_move;
        i.taint = Taint::ignore;
        return predicate_logic;
    }
    const int bytes = d.operand_bytes(0);
    const std::string& special = d.special(1);
    if (special.starts_with("%clock") || special == "%globaltimer")
        return bytes == 8 ? Execute{clock<uint64_t>} : Execute{clock<uint32_t>};
    i.a = d.source(1, bytes);
    return for_bytes(bytes, []<class T>() -> Execute { return map1<[](T a) { return a; }, T, T>; });
}

// cvta: between an address of a space and a generic one.
Execute convert_address(Decode& d) {
    Instruction& i = d.instruction();
    const Statement& s = d.statement();
    i.d = d.result();
    i.a = d.source(1);
    uint64_t window = s.has("shared") || s.has("shared::cta") ? shared_window : s.has("local") ? local_window : 0;
    if (s.has("to")) window = ~window + 1;
    i.b = d.constant(window, 8);
    return map2<[](uint64_t a, uint64_t b) { return a + b; }, uint64_t, uint64_t>;
}

}  // namespace

Execute decode_move(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    const std::string& name = s.name();
    if (name == "mov") return move(d);
    if (name == "cvta") return convert_address(d);
    if (name == "mapa") return nullptr;
    if (name == "selp") {
        i.d = d.result();
        i.a = d.source(1);
        i.b = d.source(2);
        i.c = d.predicate(3);
        i.taint = Taint::select;
        return for_bytes(bytes_of(d.type), []<class T>() -> Execute { return select<T>; });
    }
    if (d.type != Scalar::pred) return nullptr;
    static const std::map<std::string, PredicateMode> logic{{"and", p_and}, {"or", p_or}, {"xor", p_xor}, {"not", p_not}};
    const auto found = logic.find(name);
    if (found == logic.end()) return nullptr;
    i.d = d.result();
    i.a = d.source(1, 4);
    if (name != "not") i.b = d.source(2, 4);
    i.mode = found->second;
    i.taint = Taint::ignore;  // in predicate_logic()
    return predicate_logic;
}

}  // namespace xbench::ptx
