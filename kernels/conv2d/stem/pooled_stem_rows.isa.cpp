// "pooled_stem_rows": the gradient of the filters of a first layer (3x3, stride 1, up to 4 channels of x) with batch
// normalisation and 2x2 max-pooling behind it, all images plain; dy may be nchw16c. The gradient of the convolution's output
// is made band by band in the thread's workspace, in the first-level cache, and never written to memory.
// Vectors lie along the width: 8 output channels x 3 filter columns in registers (4 x 3 with 16 registers), 24 multiply-adds
// for 8 + 3 loads with AVX-512, a band for each filter row and input channel. Bound by the multiply-add units and, past the
// second-level cache, by reading y and dy, of which the next band is fetched ahead (Zen 3, 1->8 @64 batch 64: 2.9 -> 2.5 ms,
// medians of five noisy rounds): 89 us for 1->8 @64 batch 8 on one core of an EPYC of family 25 (108 as two passes).
// Lanes are added across once a leaf; then the tree over the leaves. Threads share (leaf, 16 channels).
#include "kernels/conv2d/stem/pooled_stem.h"
#include "kernels/simd/plain_blocked.h"
#include "kernels/simd/rounded.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows pooled_stem_rows_rows();
namespace {

constexpr int tile_channels = vf_registers == 32 ? 8 : 4;  // output channels
constexpr int64_t band_floats = 512;                       // of one channel's gradient, about

// Sizes of a thread's workspace in floats.
struct BandSizes {
    int64_t width, rows, x_width, turned;  // padded width and rows of a band, width of a padded input row, turned dy
    int64_t gradient, input, sums;
};

BandSizes band_sizes(const PooledStem& o) {
    BandSizes b{};
    b.width = div_up(2 * o.q, vf_width) * vf_width;
    const int64_t windows = b.width >= band_floats / 2 ? 1 : band_floats / 2 / b.width;
    b.rows = 2 * (windows < o.p ? windows : o.p);
    b.x_width = b.width + vf_width;
    b.turned = div_up(b.rows / 2 * o.q, vf_width) * vf_width;
    b.gradient = tile_channels * b.rows * b.width;
    b.input = (b.rows + side - 1) * b.x_width;
    b.sums = chunk_size * o.positions() * vf_width;
    return b;
}
int64_t thread_floats(const PooledStem& o) {
    const BandSizes b = band_sizes(o);
    return chunk_size * b.turned + b.gradient + o.c * b.input + b.sums;
}

struct Space {
    float *turned, *gradient, *input, *sums;  // sums {16 channels}{positions}{lanes}
};

// Rows top .. of one input channel with their padding: column 0 is image column -pad_w. Only vectors that stick out of the
// image are masked.
void copy_input(const PooledStem& o, const BandSizes& b, const float* plane, int64_t top, int64_t rows, float* to) {
    const auto masked = [&](const float* row, int64_t column) {
        const int64_t first = column - o.pad_w;
        return vf_load(row + first, vm_range(most_lanes(-first), most_lanes(o.w - first)));
    };
    const int64_t inside = div_up(o.pad_w, vf_width) * vf_width;                  // the first whole vector
    const int64_t end = inside + (o.w + o.pad_w - inside) / vf_width * vf_width;  // behind the last one
    for (int64_t i = top; i < top + rows; ++i, to += b.x_width) {
        const float* row = plane + i * o.w;
        const bool there = i >= 0 && i < o.h;
        int64_t column = 0;
        for (; column < inside; column += vf_width) vf_store(to + column, there ? masked(row, column) : vf_zero());
        for (; column < end; column += vf_width) vf_store(to + column, there ? vf_load(row + column - o.pad_w) : vf_zero());
        for (; column < b.x_width; column += vf_width) vf_store(to + column, there ? masked(row, column) : vf_zero());
    }
}

// `windows` windows of a row: two rows of the gradient. Returns their sum.
XB_INLINE VF gradient_of_windows(const float* y, int64_t y_row, const float* dy, const uint8_t* index, int windows, VF scale,
                                 VF offset, VF gain, float* to, int64_t to_row) {
    const int first = most_lanes(2 * windows), second = 2 * windows - first;
    const VF d = load_first(dy, windows) * gain;
    const Places places = load_places(index, windows);
    VF sum = vf_zero();
    for (int row = 0; row < 2; ++row, y += y_row, to += to_row) {
        const VF even = only_at(places, 2 * row, d), odd = only_at(places, 2 * row + 1, d);
        VF low = vf_fma(load_first(y, first), scale, offset) + vf_weave_low(even, odd);
        VF high = vf_fma(load_first(y + vf_width, second), scale, offset) + vf_weave_high(even, odd);
        if (windows < vf_width) {
            low = vf_select(vm_first(first), low, vf_zero());
            high = vf_select(vm_first(second), high, vf_zero());
        }
        sum = sum + (low + high);
        vf_store(to, low);
        if (second > 0) vf_store(to + vf_width, high);
    }
    return sum;
}

// What the next band reads, fetched in small pieces while this one is computed: bands of a channel are a few KiB, too short
// for the processor to see streams of loads coming.
struct Ahead {
    const float* y;           // of the windows that correspond to those at hand
    const char *dy, *dy_end;  // nchw16c
    int lines;                // of dy for each vector of windows

    __attribute__((always_inline)) void fetch(int64_t at, int64_t row) {
        for (int i = 0; i < 2 * vf_width; i += 16) {
            __builtin_prefetch(y + at + i);
            __builtin_prefetch(y + at + row + i);
        }
        for (int i = 0; i < lines && dy < dy_end; ++i, dy += 64) __builtin_prefetch(dy);
    }
};

// Window rows p0 .. p1-1 of output channel k of image n; dy: of window row p0. Adds to the bias' sum.
void make_gradient(const PooledStem& o, const BandSizes& b, const NormNumbers& numbers, int64_t n, int64_t k, int64_t p0,
                   int64_t p1, const float* dy, float* to, float* bias_sum, Ahead& ahead) {
    const int64_t plane = n * o.k + k;
    const VF scale = vf_set1(numbers.scale[k % chunk_size]), offset = vf_set1(numbers.offset[k % chunk_size]),
             gain = vf_set1(numbers.gain[k % chunk_size]);
    const uint8_t* index = o.index + (plane * o.p + p0) * o.q;
    VF bias = vf_load(bias_sum);
    for (int64_t p = p0; p < p1; ++p, dy += o.q, index += o.q, to += 2 * b.width) {
        const float* y = o.y + plane * o.y_plane + 2 * p * o.y_row;
        int64_t q = 0;
        for (; q + vf_width <= o.q; q += vf_width) {
            ahead.fetch(2 * (p - p0) * o.y_row + 2 * q, o.y_row);
            bias = bias + gradient_of_windows(y + 2 * q, o.y_row, dy + q, index + q, vf_width, scale, offset, gain,
                                              to + 2 * q, b.width);
        }
        if (q < o.q)
            bias = bias + gradient_of_windows(y + 2 * q, o.y_row, dy + q, index + q, static_cast<int>(o.q - q), scale,
                                              offset, gain, to + 2 * q, b.width);
    }
    vf_store(bias_sum, bias);
}

// One filter row of one input channel: sums {channels of the tile}{positions}{lanes} += gradient * input.
template <int KT>
void add_filter_row(const BandSizes& b, int64_t rows, const float* gradient, const float* input, float* sums,
                    int64_t sums_step) {
    VF acc[KT][side];
#pragma GCC unroll 8
    for (int k = 0; k < KT; ++k)
#pragma GCC unroll 3
        for (int s = 0; s < side; ++s) acc[k][s] = vf_zero();
    for (int64_t i = 0; i < rows; ++i, input += b.x_width - b.width, gradient += b.width)
        for (int64_t column = 0; column < b.width; column += vf_width, input += vf_width) {
            VF x[side];
#pragma GCC unroll 3
            for (int s = 0; s < side; ++s) x[s] = vf_load(input + s);
#pragma GCC unroll 8
            for (int k = 0; k < KT; ++k) {
                const VF g = vf_keep(vf_load(gradient + k * b.rows * b.width + column));
#pragma GCC unroll 3
                for (int s = 0; s < side; ++s) acc[k][s] = vf_fma(g, x[s], acc[k][s]);
            }
        }
#pragma GCC unroll 8
    for (int k = 0; k < KT; ++k)
#pragma GCC unroll 3
        for (int s = 0; s < side; ++s) {
            float* to = sums + k * sums_step + s * vf_width;
            vf_store(to, vf_load(to) + acc[k][s]);
        }
}

// Window rows p0 .. p1-1 of image n and all channels of a block.
void add_band(const PooledStem& o, const BandSizes& b, const NormNumbers& numbers, const Space& space, bool turn, int64_t n,
              int64_t block, int64_t p0, int64_t p1) {
    const int64_t first = block * chunk_size, channels = o.k - first < chunk_size ? o.k - first : int64_t{chunk_size};
    const int64_t rows = 2 * (p1 - p0), sums_step = o.positions() * vf_width;
    for (int64_t c = 0; c < o.c; ++c)
        copy_input(o, b, o.x + (n * o.c + c) * o.h * o.w, 2 * p0 - o.pad_h, rows + side - 1, space.input + c * b.input);
    const int64_t windows = (p1 - p0) * o.q, left = (o.p - p1) * o.q < windows ? (o.p - p1) * o.q : windows;
    const float* dy_block = o.dy + ((n * o.blocks() + block) * o.p + p0) * o.q * chunk_size;
    Ahead ahead{nullptr, nullptr, nullptr, static_cast<int>(div_up(vf_width, channels))};
    if (turn) {
        ahead.dy = reinterpret_cast<const char*>(dy_block + windows * chunk_size);
        ahead.dy_end = ahead.dy + left * chunk_size * int64_t{sizeof(float)};
        to_plain(dy_block, space.turned, b.turned, channels, windows);
    }
    for (int64_t k0 = 0; k0 < channels; k0 += tile_channels) {
        float* sums = space.sums + k0 * sums_step;
        for (int64_t i = 0; i < tile_channels; ++i) {
            float* to = space.gradient + i * b.rows * b.width;
            const int64_t k = first + k0 + i;
            if (k0 + i >= channels) {
                for (int64_t at = 0; at < rows * b.width; at += vf_width) vf_store(to + at, vf_zero());
                continue;
            }
            const float* dy = turn ? space.turned + (k0 + i) * b.turned : o.dy + ((n * o.k + k) * o.p + p0) * o.q;
            // The same band of the next channel, or behind the last one the next band of the first.
            const bool last = k0 + i + 1 == channels;
            ahead.y = o.y + (n * o.k + (last ? first : k + 1)) * o.y_plane + 2 * (last ? p1 : p0) * o.y_row;
            make_gradient(o, b, numbers, n, k, p0, p1, dy, to, sums + i * sums_step + o.c * taps * vf_width, ahead);
        }
        for (int64_t c = 0; c < o.c; ++c)
            for (int r = 0; r < side; ++r)
                add_filter_row<tile_channels>(b, rows, space.gradient, space.input + c * b.input + r * b.x_width,
                                              sums + (c * taps + r * side) * vf_width, sums_step);
    }
}

size_t workspace(const Problem& p, int threads) {
    const PooledStem o = pooled_stem_of(p);
    return static_cast<size_t>(p.leaves * o.blocks() * o.positions() * chunk_size + threads * thread_floats(o)) *
           sizeof(float);
}

void run(const KernelArgs& args, const Team& team) noexcept {
    const PooledStem o = pooled_stem_of(args, args.step);
    const BandSizes b = band_sizes(o);
    const StepContext& step = *args.step;
    const bool turn = is_blocked(args.in[2]);
    const int64_t blocks = o.blocks(), size = o.positions() * chunk_size, band = b.rows / 2;
    auto* partial = static_cast<float*>(args.workspace);
    float* mine = partial + args.leaves * blocks * size + team.rank * thread_floats(o);
    const Space space{mine, mine + chunk_size * b.turned, mine + chunk_size * b.turned + b.gradient,
                      mine + chunk_size * b.turned + b.gradient + o.c * b.input};
    const Share share = share_of(step.leaves * blocks, team);
    for (int64_t task = share.begin; task < share.end; ++task) {
        const int64_t v = task / blocks, block = task % blocks;
        const NormNumbers numbers = norm_numbers(o, block);
        for (int64_t i = 0; i < b.sums; i += vf_width) vf_store(space.sums + i, vf_zero());
        for (int64_t n = step.leaf_begin[v]; n < step.leaf_begin[v + 1]; ++n)
            for (int64_t p = 0; p < o.p; p += band)
                add_band(o, b, numbers, space, turn, n, block, p, p + band < o.p ? p + band : o.p);
        for (int64_t i = 0; i < size; ++i)  // {positions}{16} of {16}{positions}{lanes}
            partial[task * size + i] =
                vf_sum(vf_load(space.sums + (i % chunk_size * o.positions() + i / chunk_size) * vf_width));
    }
    team.barrier();
    float* db = has_operand(args.out, args.n_out, 1) ? static_cast<float*>(args.out[1].data) : nullptr;
    add_leaves(o, step, partial, static_cast<float*>(args.out[0].data), db, team);
}

Support supports(const Problem& p) {
    if (const Support stem = is_pooled_stem(p); !stem) return stem;
    if (p.in[0].dim[1] > 4) return refused("channels");
    if (is_blocked(p.in[3])) return refused("layout");
    if (p.in[2].dtype != DType::f32) return refused("element type");
    return both(dense_f32(p.in[0], Layout::plain), dense_f32(p.in[1], Layout::plain));
}

const Kernel rows[] = {
    {OpKind::conv2d_batchnorm_pool_wgrad, "pooled_stem_rows", this_isa, in_f32<supports>, workspace, run}};

}  // namespace

KernelRows pooled_stem_rows_rows() { return {rows, sizeof rows / sizeof rows[0]}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
