// 16-bit floats are added as floats and rounded to nearest even after each addition.
#include "tests/nccl_double/elements.h"

#include <algorithm>
#include <cstdint>

#include "tests/gpu_emulator/half.h"

namespace xbench::nccl {
namespace {

using ptx::Bfloat16, ptx::Half;

template <class T>
void combine_all(int reduction, void* into, const void* from, size_t count) {
    T* const a = static_cast<T*>(into);
    const T* const b = static_cast<const T*>(from);
    const auto each = [&](auto f) {
        for (size_t i = 0; i < count; ++i) a[i] = T(f(a[i], b[i]));
    };
    switch (reduction) {
        case product: return each([](auto x, auto y) { return x * y; });
        case maximum: return each([](auto x, auto y) { return x < y ? y : x; });
        case minimum: return each([](auto x, auto y) { return y < x ? y : x; });
        default: return each([](auto x, auto y) { return x + y; });
    }
}

template <class F>
void with_type(int type, F&& f) {
    switch (type) {
        case type_i8: return f.template operator()<int8_t>();
        case type_u8: return f.template operator()<uint8_t>();
        case type_i32: return f.template operator()<int32_t>();
        case type_u32: return f.template operator()<uint32_t>();
        case type_i64: return f.template operator()<int64_t>();
        case type_u64: return f.template operator()<uint64_t>();
        case type_f16: return f.template operator()<Half>();
        case type_bf16: return f.template operator()<Bfloat16>();
        case type_f32: return f.template operator()<float>();
        default: return f.template operator()<double>();
    }
}

}  // namespace

size_t bytes_of(int type) {
    static constexpr size_t bytes[types] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2};
    return bytes[type];
}

void combine(int type, int reduction, void* into, const void* from, size_t count) {
    with_type(type, [&]<class T>() { combine_all<T>(reduction, into, from, count); });
}

void divide(int type, void* values, int by, size_t count) {
    with_type(type, [&]<class T>() {
        T* const a = static_cast<T*>(values);
        for (size_t i = 0; i < count; ++i) a[i] = T(a[i] / static_cast<T>(by));
    });
}

}  // namespace xbench::nccl
