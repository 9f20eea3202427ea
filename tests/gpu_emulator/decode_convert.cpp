// cvt: between integers, between floats, and from one to the other, with rounding and saturation.
#include <cmath>
#include <limits>

#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/half.h"
#include "tests/gpu_emulator/lanewise.h"

namespace xbench::ptx {
namespace {

enum Rounding : uint16_t { nearest, toward_zero, down, up, rounding_mask = 3, to_integer = 4, saturate = 8 };

double rounded(double value, uint16_t mode) {
    switch (mode & rounding_mask) {
        case toward_zero: return std::trunc(value);
        case down: return std::floor(value);
        case up: return std::ceil(value);
        default: return std::nearbyint(value);
    }
}

// A value of the operand's type as a double, or as 64 bits where a double would lose some.
union Value {
    double real;
    int64_t integer;
};

template <class T>
struct IsReal : std::bool_constant<std::is_floating_point_v<T> || std::is_same_v<T, Half> || std::is_same_v<T, Bfloat16>> {};

template <class T>
T integer_of(double value) {
    if (std::isnan(value)) return 0;
    constexpr auto low = static_cast<double>(std::numeric_limits<T>::min());
    const double high = std::ldexp(1.0, std::numeric_limits<T>::digits);
    if (value < low) return std::numeric_limits<T>::min();
    if (value >= high) return std::numeric_limits<T>::max();
    return static_cast<T>(value);
}

template <class R>
R narrow_integer(int64_t value, bool is_unsigned_64, bool saturates) {
    if (!saturates) return static_cast<R>(value);
    if (is_unsigned_64 && value < 0) return std::numeric_limits<R>::max();
    if constexpr (sizeof(R) == 8)
        return !std::is_signed_v<R> && value < 0 ? R{0} : static_cast<R>(value);
    else
        return value < static_cast<int64_t>(std::numeric_limits<R>::min())   ? std::numeric_limits<R>::min()
               : value > static_cast<int64_t>(std::numeric_limits<R>::max()) ? std::numeric_limits<R>::max()
                                                                             : static_cast<R>(value);
}

// To a float that may round to one side: only f64 -> f32 and integers -> f32 need it.
float float_of(double value, uint16_t mode) {
    auto result = static_cast<float>(value);
    if (!std::isfinite(result) || static_cast<double>(result) == value) return result;
    const bool above = static_cast<double>(result) > value;
    const bool lower = (mode & rounding_mask) == down || ((mode & rounding_mask) == toward_zero && value > 0);
    const bool raise = (mode & rounding_mask) == up || ((mode & rounding_mask) == toward_zero && value < 0);
    if (lower && above) result = std::nextafterf(result, -INFINITY);
    if (raise && !above) result = std::nextafterf(result, INFINITY);
    return result;
}

template <class R, class A>
R converted(A a, uint16_t mode) {
    if constexpr (IsReal<A>::value) {
        auto value = static_cast<double>(a);
        if constexpr (IsReal<R>::value) {
            if (mode & to_integer) value = rounded(value, mode);
            if (mode & saturate) value = value > 0 ? std::min(value, 1.0) : 0.0;
            if constexpr (std::is_same_v<R, float>)
                return mode & to_integer ? static_cast<float>(value) : float_of(value, mode);
            else
                return R(value);
        } else {
            return integer_of<R>(rounded(value, mode));
        }
    } else if constexpr (IsReal<R>::value) {
        if constexpr (std::is_same_v<R, float> && sizeof(A) == 8) {
            if ((mode & rounding_mask) == nearest) return static_cast<float>(a);
            return float_of(static_cast<double>(a), mode);
        } else if constexpr (std::is_same_v<R, float>) {
            return float_of(static_cast<double>(a), mode);
        } else {
            return R(static_cast<double>(a));
        }
    } else {
        return narrow_integer<R>(static_cast<int64_t>(a), sizeof(A) == 8 && !std::is_signed_v<A>, mode & saturate);
    }
}

// Registers may be wider than the types: what lies above is ignored, or filled by the sign of the result.
template <class R, class A>
void convert(Warp& warp, const Instruction& i) {
    const int from_bytes = i.bytes & 15, to_bytes = i.bytes >> 4;
    const uint8_t* const from = warp.file + i.a;
    uint8_t wide[warp_lanes * 8];
    for (int l = 0; l < warp_lanes; ++l) {
        A a;
        std::memcpy(&a, from + l * from_bytes, sizeof a);
        const R r = converted<R, A>(a, i.mode);
        int64_t filled = 0;
        if constexpr (std::is_integral_v<R>)
            filled = static_cast<int64_t>(r);
        else
            std::memcpy(&filled, &r, sizeof r);
        std::memcpy(wide + l * to_bytes, &filled, static_cast<size_t>(to_bytes));
    }
    switch (to_bytes) {
        case 2: return put(warp, i.d, reinterpret_cast<uint16_t*>(wide));
        case 4: return put(warp, i.d, reinterpret_cast<uint32_t*>(wide));
        default: return put(warp, i.d, reinterpret_cast<uint64_t*>(wide));
    }
}

template <class F>
Execute for_scalar(Scalar type, F&& f) {
    switch (type) {
        case Scalar::f16: return f.template operator()<Half>();
        case Scalar::bf16: return f.template operator()<Bfloat16>();
        case Scalar::f32: return f.template operator()<float>();
        case Scalar::f64: return f.template operator()<double>();
        default: return for_integer(type, f);
    }
}

template <class T>
Execute to_pair(Decode& d) {
    d.binary();
    return map2<[](float a, float b) {
        return Pair<T>{T(static_cast<double>(b)), T(static_cast<double>(a))};
    },
                Pair<T>, float>;
}

uint16_t rounding_of(const Statement& s) {
    uint16_t mode = nearest;
    if (s.has("rzi") || s.has("rz")) mode = toward_zero;
    if (s.has("rmi") || s.has("rm")) mode = down;
    if (s.has("rpi") || s.has("rp")) mode = up;
    if (s.has("rzi") || s.has("rni") || s.has("rmi") || s.has("rpi")) mode |= to_integer;
    if (s.has("sat")) mode |= saturate;
    return mode;
}

}  // namespace

Execute decode_convert(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    if (s.name() != "cvt") return nullptr;
    i.counted_as = Class::convert;
    if (s.has("relu") || s.has("satfinite")) return nullptr;
    const std::string &to_word = s.words[s.words.size() - 2], &from_word = s.words.back();
    if (to_word == "tf32") {  // rna: to nearest, ties away from zero
        d.unary();
        return map1<[](uint32_t a) { return (a & 0x7f800000) == 0x7f800000 ? a : (a + 0x1000) & 0xffffe000; }, uint32_t,
                    uint32_t>;
    }
    const Scalar to = scalar_of(to_word), from = scalar_of(from_word);
    d.type = from;
    if (to == Scalar::f16x2) return to_pair<Half>(d);
    if (to == Scalar::bf16x2) return to_pair<Bfloat16>(d);
    i.d = d.result();
    i.a = d.source(1);
    d.type = to;
    const int to_bytes = d.operand_bytes(0);
    d.type = from;
    i.bytes = static_cast<uint8_t>(d.operand_bytes(1) | to_bytes << 4);
    i.mode = rounding_of(s);
    return for_scalar(
        to, [&]<class R>() -> Execute { return for_scalar(from, [&]<class A>() -> Execute { return convert<R, A>; }); });
}

}  // namespace xbench::ptx
