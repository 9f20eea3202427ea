// Arithmetic of f16, bf16, f32 and f64. One operation rounds once, to nearest even; fma is fused. Approximate functions are
// the host's, which are more exact; .ftz is not modelled.
#include <algorithm>
#include <cmath>

#include "tests/gpu_emulator/decode.h"
#include "tests/gpu_emulator/half.h"
#include "tests/gpu_emulator/lanewise.h"

namespace xbench::ptx {
namespace {

template <class T, auto f>
Pair<T> both(Pair<T> a) {
    return {T(f(static_cast<double>(a.low))), T(f(static_cast<double>(a.high)))};
}
template <class T, auto f>
Pair<T> both(Pair<T> a, Pair<T> b) {
    return {T(f(static_cast<double>(a.low), static_cast<double>(b.low))),
            T(f(static_cast<double>(a.high), static_cast<double>(b.high)))};
}

template <auto f>
Execute unary_of(Scalar type) {
    switch (type) {
        case Scalar::f32: return map1<[](float a) { return f(a); }, float, float>;
        case Scalar::f64: return map1<[](double a) { return f(a); }, double, double>;
        case Scalar::f16: return map1<[](Half a) { return Half(f(static_cast<double>(a))); }, Half, Half>;
        case Scalar::bf16: return map1<[](Bfloat16 a) { return Bfloat16(f(static_cast<double>(a))); }, Bfloat16, Bfloat16>;
        case Scalar::f16x2: return map1<[](Pair<Half> a) { return both<Half, f>(a); }, Pair<Half>, Pair<Half>>;
        case Scalar::bf16x2:
            return map1<[](Pair<Bfloat16> a) { return both<Bfloat16, f>(a); }, Pair<Bfloat16>, Pair<Bfloat16>>;
        default: return nullptr;
    }
}

template <auto f>
Execute binary_of(Scalar type) {
    switch (type) {
        case Scalar::f32: return map2<[](float a, float b) { return f(a, b); }, float, float>;
        case Scalar::f64: return map2<[](double a, double b) { return f(a, b); }, double, double>;
        case Scalar::f16:
            return map2<[](Half a, Half b) { return Half(f(static_cast<double>(a), static_cast<double>(b))); }, Half, Half>;
        case Scalar::bf16:
            return map2<[](Bfloat16 a, Bfloat16 b) { return Bfloat16(f(static_cast<double>(a), static_cast<double>(b))); },
                        Bfloat16, Bfloat16>;
        case Scalar::f16x2:
            return map2<[](Pair<Half> a, Pair<Half> b) { return both<Half, f>(a, b); }, Pair<Half>, Pair<Half>>;
        case Scalar::bf16x2:
            return map2<[](Pair<Bfloat16> a, Pair<Bfloat16> b) { return both<Bfloat16, f>(a, b); }, Pair<Bfloat16>,
                        Pair<Bfloat16>>;
        default: return nullptr;
    }
}

template <class T>
T fused(T a, T b, T c) {
    return T(static_cast<double>(a) * static_cast<double>(b) + static_cast<double>(c));
}
template <class T>
Pair<T> fused_pair(Pair<T> a, Pair<T> b, Pair<T> c) {
    return {fused(a.low, b.low, c.low), fused(a.high, b.high, c.high)};
}

Execute fma_of(Scalar type) {
    switch (type) {
        case Scalar::f32: return map3<[](float a, float b, float c) { return __builtin_fmaf(a, b, c); }, float, float>;
        case Scalar::f64: return map3<[](double a, double b, double c) { return __builtin_fma(a, b, c); }, double, double>;
        case Scalar::f16: return map3<fused<Half>, Half, Half>;
        case Scalar::bf16: return map3<fused<Bfloat16>, Bfloat16, Bfloat16>;
        case Scalar::f16x2: return map3<fused_pair<Half>, Pair<Half>, Pair<Half>>;
        case Scalar::bf16x2: return map3<fused_pair<Bfloat16>, Pair<Bfloat16>, Pair<Bfloat16>>;
        default: return nullptr;
    }
}

// An f32 result rounded to one side: the exact sum of a product and a number is a double plus an error term (Dekker 1971).
enum class Toward : uint8_t { zero, down, up };

template <Toward side>
float directed(double high, double low) {
    auto nearest = static_cast<float>(high);
    if (!std::isfinite(nearest) || !std::isfinite(high)) return nearest;
    const double rest = (high - static_cast<double>(nearest)) + low;  // exact where it matters: its sign
    const bool above = rest<0, below = rest> 0;                       // the float lies above, below the exact value
    const bool lower = side == Toward::down || (side == Toward::zero && nearest > 0);
    const bool raise = side == Toward::up || (side == Toward::zero && nearest < 0);
    if (lower && above) nearest = std::nextafterf(nearest, -INFINITY);
    if (raise && below) nearest = std::nextafterf(nearest, INFINITY);
    return nearest;
}
template <Toward side>
float directed_fma(float a, float b, float c) {
    const double product = static_cast<double>(a) * b, sum = product + c;  // the product is exact
    const double part = sum - product, error = (product - (sum - part)) + (c - part);
    return directed<side>(sum, error);
}
template <Toward side>
float directed_add(float a, float b) {
    return directed_fma<side>(a, 1.0f, b);
}
template <Toward side>
float directed_multiply(float a, float b) {
    return directed<side>(static_cast<double>(a) * b, 0);
}

template <Toward side>
Execute directed_of(const std::string& name) {
    if (name == "fma") return map3<directed_fma<side>, float, float>;
    if (name == "add") return map2<directed_add<side>, float, float>;
    if (name == "mul") return map2<directed_multiply<side>, float, float>;
    return nullptr;
}

template <class T>
T smaller(T a, T b) {
    return a < b || b != b || (a == b && std::signbit(a)) ? a : b;
}
template <class T>
T larger(T a, T b) {
    return a > b || b != b || (a == b && !std::signbit(a)) ? a : b;
}
template <class T>
T smaller_or_nan(T a, T b) {
    return a != a ? a : b != b ? b : smaller(a, b);
}
template <class T>
T larger_or_nan(T a, T b) {
    return a != a ? a : b != b ? b : larger(a, b);
}

Execute two_operands(const std::string& name, Scalar type, bool nan) {
    if (name == "add") return binary_of<[](auto a, auto b) { return a + b; }>(type);
    if (name == "sub") return binary_of<[](auto a, auto b) { return a - b; }>(type);
    if (name == "mul") return binary_of<[](auto a, auto b) { return a * b; }>(type);
    if (name == "div") return binary_of<[](auto a, auto b) { return a / b; }>(type);
    if (name == "min" && nan) return binary_of<[](auto a, auto b) { return smaller_or_nan(a, b); }>(type);
    if (name == "max" && nan) return binary_of<[](auto a, auto b) { return larger_or_nan(a, b); }>(type);
    if (name == "min") return binary_of<[](auto a, auto b) { return smaller(a, b); }>(type);
    if (name == "max") return binary_of<[](auto a, auto b) { return larger(a, b); }>(type);
    if (name == "copysign") return binary_of<[](auto a, auto b) { return std::copysign(b, a); }>(type);
    return nullptr;
}

Execute one_operand(const std::string& name, Scalar type) {
    if (name == "neg") return unary_of<[](auto a) { return -a; }>(type);
    if (name == "abs") return unary_of<[](auto a) { return std::fabs(a); }>(type);
    if (name == "sqrt") return unary_of<[](auto a) { return std::sqrt(a); }>(type);
    if (name == "rsqrt") return unary_of<[](auto a) { return 1 / std::sqrt(a); }>(type);
    if (name == "rcp") return unary_of<[](auto a) { return 1 / a; }>(type);
    if (name == "ex2") return unary_of<[](auto a) { return std::exp2(a); }>(type);
    if (name == "lg2") return unary_of<[](auto a) { return std::log2(a); }>(type);
    if (name == "sin") return unary_of<[](auto a) { return std::sin(a); }>(type);
    if (name == "cos") return unary_of<[](auto a) { return std::cos(a); }>(type);
    if (name == "tanh") return unary_of<[](auto a) { return std::tanh(a); }>(type);
    return nullptr;
}

template <bool with_fma>
float saturated(float a, float b, float c) {
    const float value = with_fma ? __builtin_fmaf(a, b, c) : a + b;
    return value > 0 ? std::min(value, 1.0f) : 0.0f;  // NaN becomes 0
}

bool is_special_function(const std::string& name) {
    static constexpr const char* names[] = {"div", "sqrt", "rsqrt", "rcp", "ex2", "lg2", "sin", "cos", "tanh"};
    return std::any_of(std::begin(names), std::end(names), [&](const char* n) { return name == n; });
}

}  // namespace

Execute decode_float(Decode& d) {
    const Statement& s = d.statement();
    Instruction& i = d.instruction();
    if (d.type < Scalar::f16 || d.type > Scalar::bf16x2) return nullptr;
    const std::string& name = s.name();
    const bool pair = d.type == Scalar::f16x2 || d.type == Scalar::bf16x2;
    i.counted_as = is_special_function(name) ? Class::special
                   : d.type == Scalar::f32   ? Class::f32
                   : d.type == Scalar::f64   ? Class::f64
                                             : Class::half;
    const bool fma = name == "fma" || (name == "mad" && (d.type == Scalar::f32 || d.type == Scalar::f64));
    if (fma)
        d.ternary();
    else if (s.operands.size() == 3)
        d.binary();
    else if (s.operands.size() == 2)
        d.unary();
    else
        return nullptr;
    if (i.counted_as != Class::special && name != "min" && name != "max" && name != "neg" && name != "abs")
        i.flops = (fma ? 2u : 1u) * (pair ? 2u : 1u);
    if (s.has("relu")) return nullptr;
    if (d.type == Scalar::f32 && (fma || s.operands.size() == 3) && name != "div") {
        if (s.has("rz")) return directed_of<Toward::zero>(name);
        if (s.has("rm")) return directed_of<Toward::down>(name);
        if (s.has("rp")) return directed_of<Toward::up>(name);
    }
    if (s.has("sat")) {
        if (d.type != Scalar::f32) return nullptr;
        if (fma) return map3<saturated<true>, float, float>;
        if (name == "add") return map2<[](float a, float b) { return saturated<false>(a, b, 0); }, float, float>;
        return nullptr;
    }
    if (fma) return fma_of(d.type);
    return s.operands.size() == 3 ? two_operands(name, d.type, s.has("NaN")) : one_operand(name, d.type);
}

}  // namespace xbench::ptx
