// atom and red: one lane after the other, in lane order (a GPU promises no order).
#include <algorithm>
#include <mutex>

#include "tests/gpu_emulator/access.h"
#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/half.h"
#include "tests/gpu_emulator/lanewise.h"
#include "tests/gpu_emulator/options.h"

namespace xbench::ptx {
namespace {

// Blocks may run on several threads.
std::unique_lock<std::mutex> lock_of_atomics() {
    static std::mutex mutex;
    return options().threads > 1 ? std::unique_lock(mutex) : std::unique_lock<std::mutex>();
}

template <class T, auto update>
void atomic(Warp& warp, const Instruction& i) {
    const auto lock = lock_of_atomics();
    const Addresses all = addresses(warp, i, i.a, i.narrow_address, i.offset);
    const T* const b = warp.lanes<T>(i.b);
    const T* const c = i.c == no_register ? b : warp.lanes<T>(i.c);
    T before[warp_lanes] = {};
    uint32_t done = 0;
    each_space(warp, i, all, [&](uint32_t lanes, Space space, const Addresses& at) {
        const Access access = open(warp, i, at, lanes, space, sizeof(T), reads | writes | atomically);
        done |= access.lanes;
        for (uint32_t left = access.lanes; left; left &= left - 1) {
            const auto l = static_cast<size_t>(__builtin_ctz(left));
            std::memcpy(&before[l], access.host[l], sizeof(T));
            const T after = update(before[l], b[l], c[l]);
            std::memcpy(access.host[l], &after, sizeof(T));
        }
    });
    ++warp.block->progress;
    if (i.d == no_register) return;
    T* const to = warp.lanes<T>(i.d);
    for (int l = 0; l < warp_lanes; ++l)
        if (done >> l & 1) to[l] = before[l];
}

template <class T>
Execute integer_update(const std::string& operation) {
    if (operation == "add") return atomic<T, [](T x, T b, T) { return static_cast<T>(x + b); }>;
    if (operation == "and") return atomic<T, [](T x, T b, T) { return static_cast<T>(x & b); }>;
    if (operation == "or") return atomic<T, [](T x, T b, T) { return static_cast<T>(x | b); }>;
    if (operation == "xor") return atomic<T, [](T x, T b, T) { return static_cast<T>(x ^ b); }>;
    if (operation == "min") return atomic<T, [](T x, T b, T) { return std::min(x, b); }>;
    if (operation == "max") return atomic<T, [](T x, T b, T) { return std::max(x, b); }>;
    if (operation == "exch") return atomic<T, [](T, T b, T) { return b; }>;
    if (operation == "cas") return atomic<T, [](T x, T b, T c) { return x == b ? c : x; }>;
    if (operation == "inc") return atomic<T, [](T x, T b, T) { return (x >= b) ? T{0} : static_cast<T>(x + 1); }>;
    if (operation == "dec") return atomic<T, [](T x, T b, T) { return (x == 0 || (x > b)) ? b : static_cast<T>(x - 1); }>;
    return nullptr;
}

template <class T>
Pair<T> add_pair(Pair<T> x, Pair<T> b, Pair<T>) {
    return {T(static_cast<double>(x.low) + static_cast<double>(b.low)),
            T(static_cast<double>(x.high) + static_cast<double>(b.high))};
}

}  // namespace

Execute decode_atomic(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    if (s.name() != "atom" && s.name() != "red") return nullptr;
    const size_t where = s.name() == "red" ? 0 : 1;
    i.counted_as = Class::atomic;
    i.taint = Taint::store;
    i.atomic = true;
    i.bytes = static_cast<uint8_t>(bytes_of(d.type));
    i.space = s.has("global") ? Space::global : s.has("shared") || s.has("shared::cta") ? Space::shared : Space::generic;
    d.address(where);
    i.b = d.source(where + 1);
    if (s.operands.size() > where + 2) i.c = d.source(where + 2);
    if (where == 1 && s.operands[0].kind == OperandKind::reg) i.d = d.result();
    std::string operation;
    for (const char* word : {"add", "and", "or", "xor", "min", "max", "exch", "cas", "inc", "dec"})
        if (s.has(word)) operation = word;
    if (operation == "add") switch (d.type) {
            case Scalar::f32: return atomic<float, [](float x, float b, float) { return x + b; }>;
            case Scalar::f64: return atomic<double, [](double x, double b, double) { return x + b; }>;
            case Scalar::f16x2: return atomic<Pair<Half>, add_pair<Half>>;
            case Scalar::bf16x2: return atomic<Pair<Bfloat16>, add_pair<Bfloat16>>;
            default: break;
        }
    return for_integer(d.type, [&]<class T>() -> Execute { return integer_update<T>(operation); });
}

}  // namespace xbench::ptx
