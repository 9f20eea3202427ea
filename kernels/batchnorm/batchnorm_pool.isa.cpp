// Batch normalisation, ReLU and 2x2 max-pooling in one pass over the image, and its backward passes; plain and nchw16c.
//
//   apply            reads x once, writes y, index and xhat at a quarter of its size: the normalised image is never written.
//                    The maximum is taken of x times the sign of gamma, so only the winner is normalised.
//   grad_statistics  reads the pooled tensors only: outside the winners dy is zero.
//   grad_input       dx is x times a number of the channel plus another, plus dy at the winners: x is read and dx written
//   once.
// All three are bound by memory. Sums: f32 vectors over at most sum_run elements, then double, in ascending order; images of
// a leaf in ascending order, leaves in the fixed tree. Threads share (image, channel block); sums are shared by channel.
#include "kernels/kernel.h"
#include "kernels/leaf_tree.h"
#include "kernels/simd.h"
#include "kernels/simd_pool.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
namespace {

enum { sum_run = 64 * vf_width, block = 16, block_vectors = 16 / vf_width };

const BatchNormPool& attributes(const Problem& p) { return *static_cast<const BatchNormPool*>(p.attrs); }
bool blocked(const KernelTensor& t) { return t.layout == static_cast<int32_t>(Layout::nchw16c); }

// The largest of a window's four values, the first one if tied; `sign` is that of gamma.
struct Winner {
    VF value, place;
};
XB_INLINE Winner winner(VF v0, VF v1, VF v2, VF v3, VF sign) {
    VF value = v0, best = v0 * sign, place = vf_zero();
    const VF candidates[3] = {v1, v2, v3};
    for (int k = 0; k < 3; ++k) {
        const VF candidate = candidates[k] * sign;
        const VM wins = vm_greater(candidate, best);
        best = vf_select(wins, candidate, best);
        value = vf_select(wins, candidates[k], value);
        place = vf_select(wins, vf_set1(static_cast<float>(k + 1)), place);
    }
    return {value, place};
}

XB_INLINE float sign_of(float gamma) { return gamma > 0 ? 1.0f : gamma < 0 ? -1.0f : 0.0f; }

// ---- apply ----

struct ApplyOperands {
    const float *x, *mean, *rstd, *gamma, *beta;
    float *y, *xhat;  // xhat and index are null in inference
    uint8_t* index;
    int64_t n, c, h, w, p, q;
    bool relu;
};

XB_INLINE void put(const ApplyOperands& o, int64_t at, Winner win, VF mean, VF rstd, VF gamma, VF beta, int count) {
    const VM mask = vm_first(count);
    const VF normalised = (win.value - mean) * rstd;
    const VF y = vf_fma(normalised, gamma, beta);
    vf_store(o.y + at, o.relu ? vf_relu(y) : y, mask);
    if (!o.xhat) return;
    vf_store(o.xhat + at, normalised, mask);
    store_bytes(o.index + at, win.place, count);
}

void apply_plain(const ApplyOperands& o, const Team& team) {
    const Share planes = share_of(o.n * o.c, team);
    for (int64_t plane = planes.begin; plane < planes.end; ++plane) {
        const int64_t c = plane % o.c;
        const VF mean = vf_set1(o.mean[c]), rstd = vf_set1(o.rstd[c]), gamma = vf_set1(o.gamma[c]),
                 beta = vf_set1(o.beta[c]);
        const VF sign = vf_set1(sign_of(o.gamma[c]));
        for (int64_t p = 0; p < o.p; ++p) {
            const float* top = o.x + (plane * o.h + 2 * p) * o.w;
            const float* bottom = top + o.w;
            for (int64_t q = 0; q < o.q; q += vf_width) {
                const int count = static_cast<int>(o.q - q < vf_width ? o.q - q : vf_width);
                const int first = 2 * count < vf_width ? 2 * count : vf_width, second = 2 * count - first;
                const VM m0 = vm_first(first), m1 = vm_first(second);
                const VF a0 = vf_load(top + 2 * q, m0), a1 = vf_load(top + 2 * q + vf_width, m1);
                const VF b0 = vf_load(bottom + 2 * q, m0), b1 = vf_load(bottom + 2 * q + vf_width, m1);
                const Winner win = winner(vf_even(a0, a1), vf_odd(a0, a1), vf_even(b0, b1), vf_odd(b0, b1), sign);
                put(o, (plane * o.p + p) * o.q + q, win, mean, rstd, gamma, beta, count);
            }
        }
    }
}

// Numbers of 16 channels from `first`; zero past the last.
XB_INLINE void load_channels(const float* numbers, int64_t first, int64_t channels, VF* vectors) {
    for (int i = 0; i < block_vectors; ++i) {
        const int64_t left = channels - first - i * vf_width;
        const int count = static_cast<int>(left < 0 ? 0 : left < vf_width ? left : vf_width);
        vectors[i] = vf_load(numbers + first + i * vf_width, vm_first(count));
    }
}

void apply_blocked(const ApplyOperands& o, const Team& team) {
    const int64_t blocks = div_up(o.c, block);
    const Share planes = share_of(o.n * blocks, team);
    for (int64_t plane = planes.begin; plane < planes.end; ++plane) {
        VF mean[block_vectors], rstd[block_vectors], gamma[block_vectors], beta[block_vectors], sign[block_vectors];
        const int64_t c = plane % blocks * block;
        load_channels(o.mean, c, o.c, mean);
        load_channels(o.rstd, c, o.c, rstd);
        load_channels(o.gamma, c, o.c, gamma);
        load_channels(o.beta, c, o.c, beta);
        for (int i = 0; i < block_vectors; ++i)
            sign[i] = vf_select(vm_greater(gamma[i], vf_zero()), vf_set1(1),
                                vf_select(vm_greater(vf_zero(), gamma[i]), vf_set1(-1), vf_zero()));
        for (int64_t p = 0; p < o.p; ++p)
            for (int64_t q = 0; q < o.q; ++q) {
                const float* top = o.x + ((plane * o.h + 2 * p) * o.w + 2 * q) * block;
                const float* bottom = top + o.w * block;
                for (int i = 0; i < block_vectors; ++i) {
                    const int lane = i * vf_width;
                    const Winner win = winner(vf_load(top + lane), vf_load(top + block + lane), vf_load(bottom + lane),
                                              vf_load(bottom + block + lane), sign[i]);
                    put(o, ((plane * o.p + p) * o.q + q) * block + lane, win, mean[i], rstd[i], gamma[i], beta[i], vf_width);
                }
            }
    }
}

void run_apply(const KernelArgs& args, const Team& team) noexcept {
    const KernelTensor &x = args.in[0], &y = args.out[0];
    ApplyOperands o{};
    o.x = static_cast<const float*>(x.data);
    o.mean = static_cast<const float*>(args.in[1].data);
    o.rstd = o.mean + x.dim[1];
    o.gamma = static_cast<const float*>(args.in[2].data);
    o.beta = static_cast<const float*>(args.in[3].data);
    o.y = static_cast<float*>(y.data);
    if (has_operand(args.out, args.n_out, 2)) {
        o.index = static_cast<uint8_t*>(args.out[1].data);
        o.xhat = static_cast<float*>(args.out[2].data);
    }
    o.n = x.dim[0], o.c = x.dim[1], o.h = x.dim[2], o.w = x.dim[3], o.p = y.dim[2], o.q = y.dim[3];
    o.relu = attributes(args).norm.activation == Activation::relu;
    if (blocked(x))
        apply_blocked(o, team);
    else
        apply_plain(o, team);
}

// ---- grad_statistics ----

struct Sums {
    double dy, dy_xhat;
};

// One channel of one plain image: `count` elements.
XB_INLINE Sums sums_of_plane(const float* xhat, const float* dy, const float* y, int64_t count) {
    Sums total{0, 0};
    for (int64_t begin = 0; begin < count; begin += sum_run) {
        const int64_t end = begin + sum_run < count ? begin + sum_run : count;
        VF sum = vf_zero(), product = vf_zero();
        for (int64_t i = begin; i < end; i += vf_width) {
            const VM mask = vm_first(static_cast<int>(end - i < vf_width ? end - i : vf_width));
            VF d = vf_load(dy + i, mask);
            if (y) d = vf_where_positive(vf_load(y + i, mask), d);
            sum = sum + d;
            product = vf_fma(d, vf_load(xhat + i, mask), product);
        }
        total.dy += static_cast<double>(vf_sum(sum));
        total.dy_xhat += static_cast<double>(vf_sum(product));
    }
    return total;
}

// 16 channels of one blocked image: `count` pixels; adds to sums[0..15] and sums[16..31].
XB_INLINE void sums_of_block(const float* xhat, const float* dy, const float* y, int64_t count, double* sums) {
    enum { pixels_a_run = 64 };
    for (int64_t begin = 0; begin < count; begin += pixels_a_run) {
        const int64_t end = begin + pixels_a_run < count ? begin + pixels_a_run : count;
        VF sum[block_vectors], product[block_vectors];
        for (int k = 0; k < block_vectors; ++k) sum[k] = product[k] = vf_zero();
        for (int64_t i = begin; i < end; ++i)
            for (int k = 0; k < block_vectors; ++k) {
                const int64_t at = i * block + k * vf_width;
                VF d = vf_load(dy + at);
                if (y) d = vf_where_positive(vf_load(y + at), d);
                sum[k] = sum[k] + d;
                product[k] = vf_fma(d, vf_load(xhat + at), product[k]);
            }
        for (int k = 0; k < block_vectors; ++k)
            for (int lane = 0; lane < vf_width; ++lane) {
                sums[k * vf_width + lane] += static_cast<double>(sum[k][lane]);
                sums[block + k * vf_width + lane] += static_cast<double>(product[k][lane]);
            }
    }
}

// Adds up the leaves of `width` numbers in the fixed tree; leaf(v, numbers) adds those of leaf v to zeros.
template <int width, class Leaf>
XB_INLINE void leaf_tree(int32_t leaves, double* result, Leaf&& leaf) {
    double stack[leaf_tree_depth + 1][width];
    int level = 0;
    const auto merge = [&] {
        --level;
        for (int i = 0; i < width; ++i) stack[level - 1][i] += stack[level][i];
    };
    for (int32_t v = 0; v < leaves; ++v) {
        for (int i = 0; i < width; ++i) stack[level][i] = 0;
        leaf(v, stack[level]);
        ++level;
        for (int merges = leaf_tree_merges(v); merges > 0; --merges) merge();
    }
    while (level > 1) merge();
    for (int i = 0; i < width; ++i) result[i] = level > 0 ? stack[0][i] : 0;
}

void run_grad_statistics(const KernelArgs& args, const Team& team) noexcept {
    const KernelTensor& xhat_tensor = args.in[0];
    const float* xhat = static_cast<const float*>(xhat_tensor.data);
    const float* dy = static_cast<const float*>(args.in[1].data);
    const float* y = has_operand(args.in, args.n_in, 2) ? static_cast<const float*>(args.in[2].data) : nullptr;
    double* sums = static_cast<double*>(args.out[0].data);
    const int64_t channels = xhat_tensor.dim[1], pixels = xhat_tensor.dim[2] * xhat_tensor.dim[3];
    const StepContext& step = *args.step;
    if (!blocked(xhat_tensor)) {
        const Share mine = share_of(channels, team);
        for (int64_t c = mine.begin; c < mine.end; ++c) {
            double pair[2];
            leaf_tree<2>(step.leaves, pair, [&](int32_t v, double* into) {
                for (int64_t n = step.leaf_begin[v]; n < step.leaf_begin[v + 1]; ++n) {
                    const int64_t at = (n * channels + c) * pixels;
                    const Sums image = sums_of_plane(xhat + at, dy + at, y ? y + at : nullptr, pixels);
                    into[0] += image.dy;
                    into[1] += image.dy_xhat;
                }
            });
            sums[c] = pair[0];
            sums[channels + c] = pair[1];
        }
        return;
    }
    const int64_t blocks = div_up(channels, block);
    const Share mine = share_of(blocks, team);
    for (int64_t b = mine.begin; b < mine.end; ++b) {
        double pairs[2 * block];
        leaf_tree<2 * block>(step.leaves, pairs, [&](int32_t v, double* into) {
            for (int64_t n = step.leaf_begin[v]; n < step.leaf_begin[v + 1]; ++n) {
                const int64_t at = (n * blocks + b) * pixels * block;
                sums_of_block(xhat + at, dy + at, y ? y + at : nullptr, pixels, into);
            }
        });
        for (int64_t c = b * block; c < channels && c < (b + 1) * block; ++c) {
            sums[c] = pairs[c - b * block];
            sums[channels + c] = pairs[block + c - b * block];
        }
    }
}

// ---- grad_input ----

struct GradOperands {
    const float *x, *dy, *y;  // y is null without ReLU
    const uint8_t* index;
    float* dx;
    int64_t n, c, h, w, p, q;
    bool closed_input;  // dx only where x > 0
    const float *mean, *rstd, *gamma;
    const double* sums;
    double count;
};

// dx = scale x + offset + gain dy, of one channel.
struct ChannelGrad {
    float scale, offset, gain;
};
XB_INLINE ChannelGrad channel_grad(const GradOperands& o, int64_t c) {
    const double rstd = static_cast<double>(o.rstd[c]), gain = static_cast<double>(o.gamma[c]) * rstd;
    const double mean_dy = o.sums[c] / o.count, mean_dy_xhat = o.sums[o.c + c] / o.count;
    const double scale = -gain * rstd * mean_dy_xhat;
    return {static_cast<float>(scale), static_cast<float>(-gain * mean_dy - static_cast<double>(o.mean[c]) * scale),
            static_cast<float>(gain)};
}

XB_INLINE VF only_at(VF place, int which, VF d) {
    const VF k = vf_set1(static_cast<float>(which));  // places are small whole numbers
    return vf_select(vm_greater(vf_set1(0.5f), (place - k) * (place - k)), d, vf_zero());
}

XB_INLINE VF dx_of(const GradOperands& o, VF x, VF d, VF scale, VF offset) {
    const VF dx = vf_fma(x, scale, offset) + d;
    return o.closed_input ? vf_where_positive(x, dx) : dx;
}

// Rows or columns that no window covers.
XB_INLINE void rim_plain(const GradOperands& o, const float* x, float* dx, int64_t count, VF scale, VF offset) {
    for (int64_t i = 0; i < count; i += vf_width) {
        const VM mask = vm_first(static_cast<int>(count - i < vf_width ? count - i : vf_width));
        vf_store(dx + i, dx_of(o, vf_load(x + i, mask), vf_zero(), scale, offset), mask);
    }
}

void grad_plain(const GradOperands& o, const Team& team) {
    const Share planes = share_of(o.n * o.c, team);
    for (int64_t plane = planes.begin; plane < planes.end; ++plane) {
        const ChannelGrad g = channel_grad(o, plane % o.c);
        const VF scale = vf_set1(g.scale), offset = vf_set1(g.offset), gain = vf_set1(g.gain);
        const float* x = o.x + plane * o.h * o.w;
        float* dx = o.dx + plane * o.h * o.w;
        for (int64_t p = 0; p < o.p; ++p) {
            for (int64_t q = 0; q < o.q; q += vf_width) {
                const int count = static_cast<int>(o.q - q < vf_width ? o.q - q : vf_width);
                const int first = 2 * count < vf_width ? 2 * count : vf_width, second = 2 * count - first;
                const VM mask = vm_first(count), m0 = vm_first(first), m1 = vm_first(second);
                const int64_t at = (plane * o.p + p) * o.q + q;
                VF d = vf_load(o.dy + at, mask) * gain;
                if (o.y) d = vf_where_positive(vf_load(o.y + at, mask), d);
                const VF place = load_bytes(o.index + at, count);
                for (int row = 0; row < 2; ++row) {
                    const VF even = only_at(place, 2 * row, d), odd = only_at(place, 2 * row + 1, d);
                    const int64_t pixel = (2 * p + row) * o.w + 2 * q;
                    const VF x0 = vf_load(x + pixel, m0), x1 = vf_load(x + pixel + vf_width, m1);
                    vf_store(dx + pixel, dx_of(o, x0, vf_weave_low(even, odd), scale, offset), m0);
                    vf_store(dx + pixel + vf_width, dx_of(o, x1, vf_weave_high(even, odd), scale, offset), m1);
                }
            }
            for (int row = 0; row < 2; ++row) {
                const int64_t pixel = (2 * p + row) * o.w + 2 * o.q;
                rim_plain(o, x + pixel, dx + pixel, o.w - 2 * o.q, scale, offset);
            }
        }
        for (int64_t row = 2 * o.p; row < o.h; ++row) rim_plain(o, x + row * o.w, dx + row * o.w, o.w, scale, offset);
    }
}

void grad_blocked(const GradOperands& o, const Team& team) {
    const int64_t blocks = div_up(o.c, block);
    const Share planes = share_of(o.n * blocks, team);
    for (int64_t plane = planes.begin; plane < planes.end; ++plane) {
        float numbers[3][block] = {};  // zero past the last channel: so is dx
        for (int64_t c = plane % blocks * block; c < o.c && c < (plane % blocks + 1) * block; ++c) {
            const ChannelGrad g = channel_grad(o, c);
            numbers[0][c % block] = g.scale, numbers[1][c % block] = g.offset, numbers[2][c % block] = g.gain;
        }
        for (int k = 0; k < block_vectors; ++k) {
            const int lane = k * vf_width;
            const VF scale = vf_load(numbers[0] + lane), offset = vf_load(numbers[1] + lane),
                     gain = vf_load(numbers[2] + lane);
            const float* x = o.x + plane * o.h * o.w * block + lane;
            float* dx = o.dx + plane * o.h * o.w * block + lane;
            for (int64_t h = 0; h < o.h; ++h)
                for (int64_t w = 2 * (h < 2 * o.p ? o.q : 0); w < o.w; ++w) {  // the rim
                    const int64_t pixel = (h * o.w + w) * block;
                    vf_store(dx + pixel, dx_of(o, vf_load(x + pixel), vf_zero(), scale, offset));
                }
            for (int64_t p = 0; p < o.p; ++p)
                for (int64_t q = 0; q < o.q; ++q) {
                    const int64_t at = ((plane * o.p + p) * o.q + q) * block + lane;
                    VF d = vf_load(o.dy + at) * gain;
                    if (o.y) d = vf_where_positive(vf_load(o.y + at), d);
                    const VF place = load_bytes(o.index + at, vf_width);
                    for (int corner = 0; corner < 4; ++corner) {
                        const int64_t pixel = ((2 * p + corner / 2) * o.w + 2 * q + corner % 2) * block;
                        vf_store(dx + pixel, dx_of(o, vf_load(x + pixel), only_at(place, corner, d), scale, offset));
                    }
                }
        }
    }
}

void run_grad_input(const KernelArgs& args, const Team& team) noexcept {
    const KernelTensor &x = args.in[0], &dy = args.in[1];
    const BatchNormPool& a = attributes(args);
    GradOperands o{};
    o.x = static_cast<const float*>(x.data);
    o.dy = static_cast<const float*>(dy.data);
    o.index = static_cast<const uint8_t*>(args.in[2].data);
    o.mean = static_cast<const float*>(args.in[3].data);
    o.rstd = o.mean + x.dim[1];
    o.gamma = static_cast<const float*>(args.in[4].data);
    o.sums = static_cast<const double*>(args.in[5].data);
    o.y = has_operand(args.in, args.n_in, 6) ? static_cast<const float*>(args.in[6].data) : nullptr;
    o.dx = static_cast<float*>(args.out[0].data);
    o.n = x.dim[0], o.c = x.dim[1], o.h = x.dim[2], o.w = x.dim[3], o.p = dy.dim[2], o.q = dy.dim[3];
    o.closed_input = a.norm.input_activation == Activation::relu;
    o.count = static_cast<double>(args.step->global_batch) * static_cast<double>(a.norm.pixels);
    if (blocked(x))
        grad_blocked(o, team);
    else
        grad_plain(o, team);
}

bool supports(const Problem& p) {
    const BatchNormPool& a = attributes(p);
    return a.r == 2 && a.s == 2 && p.in[0].dtype == static_cast<int32_t>(DType::f32);
}

const Kernel rows[] = {
    {OpKind::batchnorm_pool_apply, "pool2x2", this_isa, supports, nullptr, run_apply},
    {OpKind::batchnorm_pool_grad_statistics, "pool2x2", this_isa, supports, nullptr, run_grad_statistics},
    {OpKind::batchnorm_pool_grad_input, "pool2x2", this_isa, supports, nullptr, run_grad_input},
};

}  // namespace

KernelRows batchnorm_pool_rows();
KernelRows batchnorm_pool_rows() { return {rows, sizeof rows / sizeof rows[0]}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
