// ld and st in every space, scalars and vectors.
#include "tests/gpu_emulator/access.h"
#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/lanewise.h"
#include "tests/gpu_emulator/quick_access.h"
#include "tests/gpu_emulator/report.h"

namespace xbench::ptx {
namespace {

void mark_undefined(Warp& warp, const Instruction& i, uint32_t lanes, uint32_t undefined) {
    if (undefined) warp.any_taint = true;
    if (!warp.any_taint) return;
    for (int w = 0; w < i.write_count; ++w) warp.taint[i.writes[w]] = (warp.taint[i.writes[w]] & ~lanes) | undefined;
}

// E: in memory; R: of the register, which the element's sign fills.
template <class E, class R>
void load(Warp& warp, const Instruction& i) {
    if (quick_load<E, R>(warp, i)) return;
    const Addresses all = addresses(warp, i, i.a, i.narrow_address, i.offset);
    each_space(warp, i, all, [&](uint32_t lanes, Space space, const Addresses& at) {
        const Access access = open(warp, i, at, lanes, space, static_cast<uint32_t>(sizeof(E)) * i.count, reads);
        mark_undefined(warp, i, access.lanes, access.undefined);
        for (int e = 0; e < i.count; ++e) {
            if (i.list[e] == no_register) continue;
            R* const to = warp.lanes<R>(i.list[e]);
            const auto element = [&](size_t l) {
                E value;
                std::memcpy(&value, access.host[l] + static_cast<size_t>(e) * sizeof(E), sizeof(E));
                return static_cast<R>(value);
            };
            if (access.uniform) {
                const R value = element(0);
                for (int l = 0; l < warp_lanes; ++l) to[l] = value;
            } else if (access.lanes == all_lanes) {
                for (size_t l = 0; l < warp_lanes; ++l) to[l] = element(l);
            } else {
                for (uint32_t left = access.lanes; left; left &= left - 1) {
                    const auto l = static_cast<size_t>(__builtin_ctz(left));
                    to[l] = element(l);
                }
            }
        }
    });
}

// Bytes whose value was never defined stay so in shared and local memory; global memory must not get them.
void spread_undefined(Warp& warp, const Instruction& i, const Access& access, Space space) {
    if (!warp.any_taint) return;
    uint32_t undefined = 0;
    for (int r = 0; r < i.read_count; ++r) undefined |= warp.taint[i.reads[r]];
    for (uint32_t left = undefined & access.lanes; left; left &= left - 1) {
        const int l = __builtin_ctz(left);
        if (space == Space::global) {
            report(warp, i, l, Fault::unwritten, "a value that nobody wrote is stored");
            return;
        }
        std::memset(access.host[static_cast<size_t>(l)] + access.to_shadow, unwritten, size_t{i.bytes} * i.count);
    }
}

template <class E, class R>
void store(Warp& warp, const Instruction& i) {
    if (quick_store<E, R>(warp, i)) return;
    const Addresses all = addresses(warp, i, i.a, i.narrow_address, i.offset);
    each_space(warp, i, all, [&](uint32_t lanes, Space space, const Addresses& at) {
        const Access access = open(warp, i, at, lanes, space, static_cast<uint32_t>(sizeof(E)) * i.count, writes);
        for (int e = 0; e < i.count; ++e) {
            const R* const from = warp.lanes<R>(i.list[e]);
            for (uint32_t left = access.lanes; left; left &= left - 1) {
                const auto l = static_cast<size_t>(__builtin_ctz(left));
                const E value = static_cast<E>(from[l]);
                std::memcpy(access.host[l] + static_cast<size_t>(e) * sizeof(E), &value, sizeof(E));
            }
        }
        spread_undefined(warp, i, access, space);
    });
}

// A parameter of the kernel: the same for all lanes.
template <class R>
void load_parameter(Warp& warp, const Instruction& i) {
    for (int e = 0; e < i.count; ++e) {
        int64_t value = 0;
        std::memcpy(&value, warp.block->parameters + i.offset + e * i.bytes, i.bytes);
        const int above = 64 - 8 * i.bytes;
        if (i.mode) value = static_cast<int64_t>(static_cast<uint64_t>(value) << above) >> above;
        R out[warp_lanes];
        for (R& lane : out) lane = static_cast<R>(value);
        put(warp, i.list[e], out);
    }
}

Space space_of(const Statement& s) {
    if (s.has("global") || s.has("const")) return Space::global;
    if (s.has("shared") || s.has("shared::cta")) return Space::shared;
    if (s.has("local")) return Space::local;
    if (s.has("param") || s.has("param::entry")) return Space::param;
    return Space::generic;
}

Class class_of(Space space, bool store) {
    switch (space) {
        case Space::param: return Class::param;
        case Space::shared: return store ? Class::shared_store : Class::shared_load;
        case Space::local: return Class::local;
        default: return store ? Class::global_store : Class::global_load;
    }
}

template <template <class, class> class Routine>
Execute by_types(Scalar type, int register_bytes) {
    const bool is_signed = type >= Scalar::s8 && type <= Scalar::s64;
    const auto with = [&]<class E>() -> Execute {
        return for_bytes(register_bytes, []<class R>() -> Execute { return Routine<E, R>::run; });
    };
    switch (bytes_of(type)) {
        case 1: return is_signed ? with.template operator()<int8_t>() : with.template operator()<uint8_t>();
        case 2: return is_signed ? with.template operator()<int16_t>() : with.template operator()<uint16_t>();
        case 4: return is_signed ? with.template operator()<int32_t>() : with.template operator()<uint32_t>();
        default: return with.template operator()<uint64_t>();
    }
}
template <class E, class R>
struct Load {
    static void run(Warp& warp, const Instruction& i) { load<E, R>(warp, i); }
};
template <class E, class R>
struct Store {
    static void run(Warp& warp, const Instruction& i) { store<E, R>(warp, i); }
};

}  // namespace

Execute decode_memory(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    const bool is_store = s.name() == "st";
    if ((s.name() != "ld" && s.name() != "ldu" && !is_store) || d.type == Scalar::b128) return nullptr;
    const size_t address_at = is_store ? 0 : 1, value_at = is_store ? 1 : 0;
    i.space = space_of(s);
    i.bytes = static_cast<uint8_t>(bytes_of(d.type));
    i.volatile_access = s.has("volatile") || s.has("relaxed") || s.has("acquire") || s.has("release");
    i.taint = is_store ? Taint::store : Taint::load;
    const int register_bytes = std::max(d.operand_bytes(value_at), bytes_of(d.type));
    i.list = d.vector(value_at, register_bytes, !is_store);
    i.counted_as = class_of(i.space, is_store);
    const Operand& where = s.operands.at(address_at);
    int64_t parameter = 0;
    if (i.space == Space::param && where.reg < 0 && d.is_parameter(where.symbol, parameter)) {
        i.offset = parameter + static_cast<int64_t>(where.immediate);
        i.mode = d.type >= Scalar::s8 && d.type <= Scalar::s64;
        i.taint = Taint::lanewise;
        return for_bytes(register_bytes, []<class R>() -> Execute { return load_parameter<R>; });
    }
    if (i.space == Space::param && where.reg < 0) i.space = Space::local;  // of a call that was read in place
    d.address(address_at);
    return is_store ? by_types<Store>(d.type, register_bytes) : by_types<Load>(d.type, register_bytes);
}

}  // namespace xbench::ptx
