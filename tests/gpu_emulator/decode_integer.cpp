// Integer arithmetic, logic, bit fields. Signed overflow wraps, as on a GPU.
#include <algorithm>
#include <type_traits>

#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/lanewise.h"

namespace xbench::ptx {
namespace {

template <class T>
using Unsigned = std::make_unsigned_t<T>;

template <class T>
T multiply_high(T a, T b) {
    if constexpr (sizeof(T) == 8) {
        using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
        return static_cast<T>((static_cast<Wide>(a) * static_cast<Wide>(b)) >> 64);
    } else {
        using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
        return static_cast<T>((static_cast<Wide>(a) * static_cast<Wide>(b)) >> (8 * sizeof(T)));
    }
}
template <class T>
T multiply_low(T a, T b) {
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
template <class T>
T divide(T a, T b) {
    if (b == 0) return static_cast<T>(~T{0});
    if constexpr (std::is_signed_v<T>)
        if (b == -1) return static_cast<T>(Unsigned<T>(0) - static_cast<Unsigned<T>>(a));
    return static_cast<T>(a / b);
}
template <class T>
T remainder(T a, T b) {
    if (b == 0) return a;
    if constexpr (std::is_signed_v<T>)
        if (b == -1) return 0;
    return static_cast<T>(a % b);
}
template <class T>
T shift_left(T a, uint32_t by) {
    return by >= 8 * sizeof(T) ? T{0} : static_cast<T>(static_cast<Unsigned<T>>(a) << by);
}
template <class T>
T shift_right(T a, uint32_t by) {
    const uint32_t most = 8 * sizeof(T) - 1;
    if (by > most) return std::is_signed_v<T> && a < 0 ? static_cast<T>(-1) : T{0};
    return static_cast<T>(a >> by);
}
template <class T>
T absolute(T a) {
    return std::is_signed_v<T> && a < 0 ? static_cast<T>(Unsigned<T>(0) - static_cast<Unsigned<T>>(a)) : a;
}
template <class T>
T extract_bits(T a, uint32_t position, uint32_t length) {
    constexpr uint32_t width = 8 * sizeof(T);
    position &= 255;
    length = std::min(length & 255, width);
    if (length == 0) return 0;
    const T shifted = shift_right(a, position);
    if (length == width || (std::is_signed_v<T> && position + length >= width)) return shifted;
    const auto low = static_cast<Unsigned<T>>(static_cast<Unsigned<T>>(shifted) << (width - length));
    return static_cast<T>(static_cast<T>(low) >> (width - length));
}
template <class T>
void insert_bits(Warp& warp, const Instruction& i) {  // a into b at c, d2 bits
    const T *const a = warp.lanes<T>(i.a), *const b = warp.lanes<T>(i.b);
    const uint32_t *const position = warp.lanes<uint32_t>(i.c), *const length = warp.lanes<uint32_t>(i.d2);
    T out[warp_lanes];
    for (int l = 0; l < warp_lanes; ++l) {
        const uint32_t bits = length[l] & 255, at = position[l] & 255;
        const T ones = bits >= 8 * sizeof(T) ? static_cast<T>(~T{0}) : static_cast<T>((T{1} << bits) - 1);
        const T mask = shift_left(ones, at);
        out[l] = static_cast<T>((b[l] & ~mask) | (shift_left(a[l], at) & mask));
    }
    put(warp, i.d, out);
}

uint32_t permute_bytes(uint32_t a, uint32_t b, uint32_t selector) {
    const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
    uint32_t result = 0;
    for (int j = 0; j < 4; ++j) {
        const uint32_t choice = selector >> (4 * j) & 15;
        uint32_t byte = static_cast<uint32_t>(bytes >> (8 * (choice & 7))) & 255;
        if (choice & 8) byte = byte & 128 ? 255 : 0;
        result |= byte << (8 * j);
    }
    return result;
}
uint32_t reverse_bits(uint32_t x) {
    x = __builtin_bswap32(x);
    x = (x & 0x0f0f0f0f) << 4 | (x >> 4 & 0x0f0f0f0f);
    x = (x & 0x33333333) << 2 | (x >> 2 & 0x33333333);
    return (x & 0x55555555) << 1 | (x >> 1 & 0x55555555);
}

uint64_t together(uint32_t low, uint32_t high) { return static_cast<uint64_t>(high) << 32 | low; }

void logic_of_three(Warp& warp, const Instruction& i) {
    const uint32_t *const a = warp.lanes<uint32_t>(i.a), *const b = warp.lanes<uint32_t>(i.b),
                          *const c = warp.lanes<uint32_t>(i.c);
    uint32_t out[warp_lanes] = {};
    for (int term = 0; term < 8; ++term) {
        if (!(i.offset >> term & 1)) continue;
        for (int l = 0; l < warp_lanes; ++l)
            out[l] |= (term & 4 ? a[l] : ~a[l]) & (term & 2 ? b[l] : ~b[l]) & (term & 1 ? c[l] : ~c[l]);
    }
    put(warp, i.d, out);
}

enum CarryMode : uint16_t { subtracts = 1, carry_in = 2, carry_out = 4 };

void with_carry(Warp& warp, const Instruction& i) {
    const uint32_t *const a = warp.lanes<uint32_t>(i.a), *const b = warp.lanes<uint32_t>(i.b);
    uint32_t out[warp_lanes], carry = 0;
    for (int l = 0; l < warp_lanes; ++l) {
        const uint64_t in = i.mode & carry_in ? warp.carry >> l & 1 : 0;
        const uint64_t sum = i.mode & subtracts ? uint64_t{a[l]} - b[l] - in : uint64_t{a[l]} + b[l] + in;
        out[l] = static_cast<uint32_t>(sum);
        carry |= static_cast<uint32_t>(sum >> 32 & 1) << l;
    }
    put(warp, i.d, out);
    if (i.mode & carry_out) warp.carry = carry;
}

Execute wide_product(Decode& d, bool add) {
    Instruction& i = d.instruction();
    i.d = d.result();
    i.a = d.source(1);
    i.b = d.source(2);
    if (add) i.c = d.source(3, 2 * bytes_of(d.type));
    const auto of = [&]<class Narrow, class Wide>() -> Execute {
        if (add)
            return map3<[](Narrow a, Narrow b, Wide c) { return static_cast<Wide>(Wide(a) * Wide(b) + c); }, Wide, Narrow,
                        Narrow, Wide>;
        return map2<[](Narrow a, Narrow b) { return static_cast<Wide>(Wide(a) * Wide(b)); }, Wide, Narrow>;
    };
    switch (d.type) {
        case Scalar::u16: return of.template operator()<uint16_t, uint32_t>();
        case Scalar::s16: return of.template operator()<int16_t, int32_t>();
        case Scalar::u32: return of.template operator()<uint32_t, uint64_t>();
        case Scalar::s32: return of.template operator()<int32_t, int64_t>();
        default: return nullptr;
    }
}

Execute product(Decode& d) {
    const Statement& s = d.statement();
    const bool add = s.name() == "mad", high = s.has("hi");
    if (s.has("sat")) return nullptr;
    if (s.has("wide")) return wide_product(d, add);
    if (add)
        d.ternary();
    else
        d.binary();
    return for_integer(d.type, [&]<class T>() -> Execute {
        if (high && add)
            return map3<[](T a, T b, T c) {
                return static_cast<T>(static_cast<Unsigned<T>>(multiply_high(a, b)) + static_cast<Unsigned<T>>(c));
            },
                        T, T>;
        if (high) return map2<multiply_high<T>, T, T>;
        if (add)
            return map3<[](T a, T b, T c) {
                return static_cast<T>(static_cast<uint64_t>(multiply_low(a, b)) + static_cast<uint64_t>(c));
            },
                        T, T>;
        return map2<multiply_low<T>, T, T>;
    });
}

Execute carries(Decode& d) {
    const Statement& s = d.statement();
    if (bytes_of(d.type) != 4) return nullptr;
    d.binary();
    const std::string& name = s.name();
    d.instruction().mode = static_cast<uint16_t>((name.starts_with("sub") ? subtracts : 0) |
                                                 (name.ends_with("c") ? carry_in : 0) | (s.has("cc") ? carry_out : 0));
    return with_carry;
}

Execute two_operands(Decode& d) {
    const std::string& name = d.statement().name();
    const auto make = [&]<class T>() -> Execute {
        using U = Unsigned<T>;
        if (name == "add") return map2<[](T a, T b) { return static_cast<T>(static_cast<U>(a) + static_cast<U>(b)); }, T, T>;
        if (name == "sub") return map2<[](T a, T b) { return static_cast<T>(static_cast<U>(a) - static_cast<U>(b)); }, T, T>;
        if (name == "and") return map2<[](T a, T b) { return static_cast<T>(a & b); }, T, T>;
        if (name == "or") return map2<[](T a, T b) { return static_cast<T>(a | b); }, T, T>;
        if (name == "xor") return map2<[](T a, T b) { return static_cast<T>(a ^ b); }, T, T>;
        if (name == "min") return map2<[](T a, T b) { return std::min(a, b); }, T, T>;
        if (name == "max") return map2<[](T a, T b) { return std::max(a, b); }, T, T>;
        if (name == "div") return map2<divide<T>, T, T>;
        if (name == "rem") return map2<remainder<T>, T, T>;
        return nullptr;
    };
    const Execute routine = for_integer(d.type, make);
    if (routine) d.binary();
    return routine;
}

Execute shift(Decode& d) {
    Instruction& i = d.instruction();
    i.d = d.result();
    i.a = d.source(1);
    i.b = d.source(2, 4);
    const bool left = d.statement().name() == "shl";
    return for_integer(d.type, [&]<class T>() -> Execute {
        return left ? Execute{map2<shift_left<T>, T, T, uint32_t>} : Execute{map2<shift_right<T>, T, T, uint32_t>};
    });
}

Execute one_operand(Decode& d) {
    const std::string& name = d.statement().name();
    const auto make = [&]<class T>() -> Execute {
        if (name == "not") return map1<[](T a) { return static_cast<T>(~a); }, T, T>;
        if (name == "neg")
            return map1<[](T a) { return static_cast<T>(Unsigned<T>(0) - static_cast<Unsigned<T>>(a)); }, T, T>;
        if (name == "abs") return map1<absolute<T>, T, T>;
        if (name == "cnot") return map1<[](T a) { return static_cast<T>(a == 0); }, T, T>;
        return nullptr;
    };
    const Execute routine = for_integer(d.type, make);
    if (routine) d.unary();
    return routine;
}

Execute counts(Decode& d) {
    const Statement& s = d.statement();
    const bool wide = bytes_of(d.type) == 8, amount = s.has("shiftamt");
    d.unary();
    if (s.name() == "popc")
        return wide ? Execute{map1<[](uint64_t a) { return static_cast<uint32_t>(__builtin_popcountll(a)); }, uint32_t,
                                   uint64_t>}
                    : Execute{
                          map1<[](uint32_t a) { return static_cast<uint32_t>(__builtin_popcount(a)); }, uint32_t, uint32_t>};
    if (s.name() == "clz")
        return wide ? Execute{map1<[](uint64_t a) { return a ? static_cast<uint32_t>(__builtin_clzll(a)) : 64u; }, uint32_t,
                                   uint64_t>}
                    : Execute{map1<[](uint32_t a) { return a ? static_cast<uint32_t>(__builtin_clz(a)) : 32u; }, uint32_t,
                                   uint32_t>};
    if (wide) return nullptr;
    if (d.type == Scalar::s32) {
        if (amount) return nullptr;
        return map1<[](int32_t a) {
            const auto x = static_cast<uint32_t>(a < 0 ? ~a : a);
            return x ? 31u - static_cast<uint32_t>(__builtin_clz(x)) : ~0u;
        },
                    uint32_t, int32_t>;
    }
    if (amount)
        return map1<[](uint32_t a) { return a ? static_cast<uint32_t>(__builtin_clz(a)) : ~0u; }, uint32_t, uint32_t>;
    return map1<[](uint32_t a) { return a ? 31u - static_cast<uint32_t>(__builtin_clz(a)) : ~0u; }, uint32_t, uint32_t>;
}

Execute funnel_shift(Decode& d) {
    const Statement& s = d.statement();
    d.ternary();
    if (s.has("l") && s.has("wrap"))
        return map3<[](uint32_t a, uint32_t b, uint32_t c) {
            return static_cast<uint32_t>((together(a, b) << (c & 31)) >> 32);
        },
                    uint32_t, uint32_t>;
    if (s.has("l"))
        return map3<[](uint32_t a, uint32_t b, uint32_t c) {
            return c >= 32 ? a : static_cast<uint32_t>((together(a, b) << c) >> 32);
        },
                    uint32_t, uint32_t>;
    if (s.has("wrap"))
        return map3<[](uint32_t a, uint32_t b, uint32_t c) { return static_cast<uint32_t>((together(a, b) >> (c & 31))); },
                    uint32_t, uint32_t>;
    return map3<[](uint32_t a, uint32_t b, uint32_t c) { return static_cast<uint32_t>(together(a, b) >> std::min(c, 32u)); },
                uint32_t, uint32_t>;
}

Execute bit_fields(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    const std::string& name = s.name();
    if (name == "bfe") {
        i.d = d.result();
        i.a = d.source(1);
        i.b = d.source(2, 4);
        i.c = d.source(3, 4);
        return for_integer(d.type, []<class T>() -> Execute { return map3<extract_bits<T>, T, T, uint32_t, uint32_t>; });
    }
    if (name == "bfi") {
        i.d = d.result();
        i.a = d.source(1);
        i.b = d.source(2);
        i.c = d.source(3, 4);
        i.d2 = d.source(4, 4);
        return bytes_of(d.type) == 8 ? Execute{insert_bits<uint64_t>} : Execute{insert_bits<uint32_t>};
    }
    if (name == "bmsk") {
        d.binary();
        if (s.has("clamp"))
            return map2<[](uint32_t at, uint32_t bits) { return shift_left(bits >= 32 ? ~0u : (1u << bits) - 1, at); },
                        uint32_t, uint32_t>;
        return map2<[](uint32_t at, uint32_t bits) { return ((1u << (bits & 31)) - 1) << (at & 31); }, uint32_t, uint32_t>;
    }
    if (name == "brev" && bytes_of(d.type) == 4) {
        d.unary();
        return map1<reverse_bits, uint32_t, uint32_t>;
    }
    if (name == "prmt" && s.words.size() == 2) {
        d.ternary();
        return map3<permute_bytes, uint32_t, uint32_t>;
    }
    if (name == "lop3") {
        d.ternary();
        i.offset = static_cast<int64_t>(s.operands.at(4).immediate);
        return logic_of_three;
    }
    return nullptr;
}

Execute dot_product(Decode& d) {
    d.ternary();
    const Statement& s = d.statement();
    if (s.has("s32") && s.words.size() == 3)
        return map3<[](uint32_t a, uint32_t b, int32_t c) {
            for (int j = 0; j < 4; ++j) c += int32_t{static_cast<int8_t>(a >> (8 * j))} * static_cast<int8_t>(b >> (8 * j));
            return c;
        },
                    int32_t, uint32_t, uint32_t, int32_t>;
    return nullptr;
}

}  // namespace

Execute decode_integer(Decode& d) {
    const Statement& s = d.statement();
    const std::string& name = s.name();
    if (d.type > Scalar::s64 || d.type == Scalar::none) return nullptr;
    if (s.has("cc") || name == "addc" || name == "subc") return carries(d);
    if (name == "mul" || name == "mad") return product(d);
    if (name == "mul24" || name == "sad") return nullptr;
    if (name == "shl" || name == "shr") return shift(d);
    if (name == "shf") return funnel_shift(d);
    if (name == "popc" || name == "clz" || name == "bfind") return counts(d);
    if (name == "dp4a") return dot_product(d);
    if (const Execute routine = bit_fields(d)) return routine;
    if (s.operands.size() == 2) return one_operand(d);
    return two_operands(d);
}

}  // namespace xbench::ptx
