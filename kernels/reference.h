// What the plain references of all operators share: elements by logical index in any layout, the dispatch over f32 and f64,
// a thread's share of a loop, and the sum over leaves. Slow and simple on purpose: references are the oracle.
//
//     template <class T>
//     void my_op(const KernelArgs& args, const Team& team) {
//         const RefTensor<T> x(args.in[0]), y(args.out[0]);
//         for (auto [n, end] = share(x.n(), team); n < end; ++n) y.at(n, c, h, w) = ...;
//         y.clear_padding(team);
//     }
//     XB_RUN(my_op, my_op, in[0])   // outside of the unnamed namespace
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/leaf_tree.h"
#include "kernels/op.h"
#include "kernels/products.h"

namespace xbench {

// A thread's part of 0 .. total-1: contiguous, sizes differ by at most one.
struct LoopRange {
    int64_t begin, end;
};

inline LoopRange share(int64_t total, const Team& team) {
    return {total * team.rank / team.size, total * (team.rank + 1) / team.size};
}

// Whether `candidate` replaces `best` as the largest so far: it is larger, or the first NaN.
template <class T>
bool beats(T candidate, T best) {
    return candidate > best || (candidate != candidate && best == best);
}

inline bool present(const KernelTensor* tensors, int32_t count, int32_t index) {
    return index < count && tensors[index].rank > 0;
}

// A tensor of up to four dimensions, indexed logically; missing trailing dimensions count as 1.
template <class T>
class RefTensor {
public:
    RefTensor() = default;
    explicit RefTensor(const KernelTensor& tensor) : data_(static_cast<T*>(tensor.data)), layout_(tensor.layout) {
        for (int axis = 0; axis < 4; ++axis) dim_[axis] = axis < tensor.rank ? tensor.dim[axis] : 1;
    }
    // An operand that may be absent.
    RefTensor(const KernelTensor* tensors, int32_t count, int32_t index) {
        if (xbench::present(tensors, count, index)) *this = RefTensor(tensors[index]);
    }

    bool present() const { return data_ != nullptr; }
    int64_t n() const { return dim_[0]; }
    int64_t c() const { return dim_[1]; }
    int64_t h() const { return dim_[2]; }
    int64_t w() const { return dim_[3]; }
    T* data() const { return data_; }

    T& at(int64_t n, int64_t c = 0, int64_t h = 0, int64_t w = 0) const {
        if (layout_ == Layout::plain) return data_[((n * dim_[1] + c) * dim_[2] + h) * dim_[3] + w];
        if (layout_ == Layout::nhwc) return data_[((n * dim_[2] + h) * dim_[3] + w) * dim_[1] + c];
        return data_[(((n * blocks() + c / 16) * dim_[2] + h) * dim_[3] + w) * 16 + c % 16];
    }

    // Zeroes the channels past c of nchw16c; each thread its images.
    void clear_padding(const Team& team) const {
        if (layout_ != Layout::nchw16c) return;
        for (auto [image, end] = share(n(), team); image < end; ++image)
            for (int64_t channel = c(); channel < blocks() * 16; ++channel)
                for (int64_t i = 0; i < h(); ++i)
                    for (int64_t j = 0; j < w(); ++j) at(image, channel, i, j) = T{0};
    }

private:
    int64_t blocks() const { return (dim_[1] + 15) / 16; }
    T* data_ = nullptr;
    int64_t dim_[4] = {0, 0, 0, 0};
    Layout layout_ = Layout::plain;
};

// out(n, c, h, w) = body(n, c, h, w) for this thread's images; the padding becomes zero.
template <class T, class Body>
void fill(const RefTensor<T>& out, const Team& team, Body&& body) {
    for (auto [n, end] = share(out.n(), team); n < end; ++n)
        for (int64_t c = 0; c < out.c(); ++c)
            for (int64_t h = 0; h < out.h(); ++h)
                for (int64_t w = 0; w < out.w(); ++w) out.at(n, c, h, w) = body(n, c, h, w);
    out.clear_padding(team);
}

// y = f(x), in double inside.
template <class T, class F>
void map(const KernelArgs& args, const Team& team, F&& f) {
    const RefTensor<T> x(args.in[0]);
    fill(RefTensor<T>(args.out[0]), team, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        return static_cast<T>(f(static_cast<double>(x.at(n, c, h, w))));
    });
}

// dx = dy slope(x), of operands dy and x.
template <class T, class F>
void map_grad(const KernelArgs& args, const Team& team, F&& slope) {
    const RefTensor<T> dy(args.in[0]), x(args.in[1]);
    fill(RefTensor<T>(args.out[0]), team, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        const auto value = static_cast<double>(x.at(n, c, h, w));
        return static_cast<T>(static_cast<double>(dy.at(n, c, h, w)) * slope(value));
    });
}

inline float round_to_bf16(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    return std::bit_cast<float>((bits + 0x7FFFu + (bits >> 16 & 1u)) & 0xFFFF0000u);
}
// 10 bits of mantissa, ties away from zero, as GPUs round.
inline float round_to_tf32(float value) {
    return std::bit_cast<float>((std::bit_cast<uint32_t>(value) + 0x1000u) & 0xFFFFE000u);
}
// Infinite from halfway past the largest on; multiples of 2^-24 below 2^-14.
inline float round_to_f16(float value) {
    constexpr float largest = 65504, past_largest = 65520;
    if (std::fabs(value) > largest) return std::copysign(std::fabs(value) < past_largest ? largest : INFINITY, value);
    const float grain = std::ldexp(1.0f, std::max(value == 0 ? -14 : std::ilogb(value), -14) - 10);
    return std::nearbyint(value / grain) * grain;
}

// A factor as a convolution or linear layer multiplies it: rounded to the type of its products, or as it is.
class Factor {
public:
    explicit Factor(const Problem& problem) : products_(products_of(problem)) {}
    template <class T>
    double operator()(T value) const {
        if (products_ == DType::f32 || !std::isfinite(value)) return static_cast<double>(value);
        const auto single = static_cast<float>(value);
        return static_cast<double>(products_ == DType::bf16  ? round_to_bf16(single)
                                   : products_ == DType::f16 ? round_to_f16(single)
                                                             : round_to_tf32(single));
    }

private:
    DType products_;
};

// Calls body(0.0f) or body(0.0), as the element type asks.
template <class Body>
void dispatch_float(DType dtype, Body&& body) {
    if (dtype == DType::f64) {
        body(0.0);
    } else {
        body(0.0f);
    }
}

// Defines reference_<op>: function<float> or function<double>, by the element type of an operand that is never a sum.
#define XB_RUN(op, function, operand)                                                                 \
    void reference_##op(const KernelArgs& args, const Team& team) noexcept {                          \
        dispatch_float(args.operand.dtype, [&](auto zero) { function<decltype(zero)>(args, team); }); \
    }

// The sum over all leaves of sum_of_images(first, last), which is called for each leaf with its range of images and
// accumulates in double. A leaf's sum is rounded to T before the tree, because ranks exchange partial sums of type T.
template <class T, class SumOfImages>
T sum_over_leaves(const StepContext& step, SumOfImages&& sum_of_images) {
    T stack[leaf_tree_depth + 1];
    int level = 0;
    for (int32_t v = 0; v < step.leaves; ++v) {
        stack[level++] = static_cast<T>(sum_of_images(step.leaf_begin[v], step.leaf_begin[v + 1]));
        for (int merges = leaf_tree_merges(v); merges > 0; --merges, --level) stack[level - 2] += stack[level - 1];
    }
    for (; level > 1; --level) stack[level - 2] += stack[level - 1];
    return level > 0 ? stack[0] : T{0};
}

}  // namespace xbench
