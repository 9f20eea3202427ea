// Accesses of 128 bits that stay such: the compiler takes an access of a float4 apart where it sees that a part is not
// needed or comes from elsewhere, and the parts of neighbouring lanes then lie 16 bytes apart.
#pragma once

namespace xbench {

__device__ __forceinline__ void store_quad(float* to, float4 value) {
    asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)), "f"(value.x), "f"(value.y),
                 "f"(value.z), "f"(value.w)
                 : "memory");
}

// From shared memory.
__device__ __forceinline__ float4 load_shared_quad(const float* from) {
    float4 value;
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(value.x), "=f"(value.y), "=f"(value.z), "=f"(value.w)
                 : "r"(static_cast<unsigned>(__cvta_generic_to_shared(from))));
    return value;
}

}  // namespace xbench
