// "patches": convolutions whose filters tile the image (kernel == stride, no padding: the patch embedding of a vision
// transformer, Dosovitskiy et al. 2021) as one matrix product, f32, one group; plain x, plain or nchw16c y.
//   forward   x is copied so that each patch becomes a pixel of c*r*s channels in nchw16c; then "pointwise"
//   dgrad     "pointwise", whose dx is copied back; a rim that no patch covers becomes zero
//   wgrad     the copy as in forward, then "pointwise"
// The product itself is the row of pointwise.isa.cpp. A plain y or dy takes one more copy. For rows of 16 numbers, as
// a 16x16 patch has, a copy moves whole cache lines. Bound by the multiply-add units.
// Measured on one core (EPYC of family 25, AVX2, the other core busy; ViT-B/16, 224x224, batch 4): as fast as oneDNN 2.6
// times 0.89-1.0 forward, 0.85-0.96 wgrad, 1.03-1.07 dgrad; 6 to 11 times as fast as "direct_rows".
#include "kernels/simd/plain_blocked.h"
#include "kernels/simd/rounded.h"

namespace xbench {
namespace XB_ISA_NAMESPACE {
KernelRows patches_rows();
KernelRows pointwise_rows();
namespace {

constexpr int block = 16;

const Conv2d& conv_of(const Problem& problem) { return *static_cast<const Conv2d*>(problem.attrs); }

template <class Tensor>
struct Operands {
    Tensor *x, *w, *y;
};

template <class Tensor, class P>
Operands<Tensor> operands_in(P& p) {
    if (p.op == OpKind::conv2d_dgrad) return {&p.out[0], &p.in[1], &p.in[0]};
    if (p.op == OpKind::conv2d_wgrad) return {&p.in[0], &p.out[0], &p.in[1]};
    return {&p.in[0], &p.in[1], &p.out[0]};
}
Operands<KernelTensor> operands_of(Problem& p) { return operands_in<KernelTensor>(p); }
Operands<const KernelTensor> operands_of(const Problem& p) { return operands_in<const KernelTensor>(p); }

// Asked on any processor, as the choice for every instruction set is: without a copy of the problem, for which the compiler
// would use this file's vectors.
Support supports(const Problem& p) {
    const Operands at = operands_of(p);
    const Conv2d& conv = conv_of(p);
    if (conv.groups != 1) return refused("groups");
    if (conv.r * conv.s == 1) return refused("filter size");
    if (conv.r != conv.stride_h || conv.s != conv.stride_w) return refused("stride");
    if (conv.pad_h != 0 || conv.pad_w != 0) return refused("padding");
    if (conv.dilation_h != 1 || conv.dilation_w != 1) return refused("dilation");
    const bool blocked_output = is_dense_f32(*at.y, Layout::nchw16c);
    return both(dense_f32(*at.x, Layout::plain), blocked_output ? supported : dense_f32(*at.y, Layout::plain));
}

// Small patches do not fill the product's tiles.
bool wins(const Problem& p) {
    const KernelTensor& w = *operands_of(p).w;
    return w.dim[1] * w.dim[2] * w.dim[3] >= 4 * block;
}

// The 1x1 convolution over the copies, and where these lie. Points into itself.
struct Product {
    Conv2d conv;
    KernelArgs args;
    KernelTensor patches, image;  // nchw16c: the copy of x or dx, and y or its copy
    int64_t patches_floats, image_floats;
};

void make_product(const Problem& p, float* workspace, Product& product) {
    product.conv = conv_of(p);
    product.conv.r = product.conv.s = product.conv.stride_h = product.conv.stride_w = 1;
    static_cast<Problem&>(product.args) = p;
    product.args.attrs = &product.conv;
    const Operands at = operands_of(product.args);
    KernelTensor& w = *at.w;
    w.dim[1] *= w.dim[2] * w.dim[3];
    w.dim[2] = w.dim[3] = 1;
    product.patches = product.image = *at.y;
    product.patches.layout = product.image.layout = Layout::nchw16c;
    product.patches.dim[1] = w.dim[1];
    product.patches_floats = stored_elements(product.patches);
    product.image_floats = is_blocked(*at.y) ? 0 : stored_elements(product.image);
    product.patches.data = workspace;
    if (product.image_floats > 0) product.image.data = workspace + product.patches_floats;
    *at.x = product.patches;
    *at.y = product.image;
    product.args.workspace = workspace + product.patches_floats + product.image_floats;
}

const Kernel& pointwise(OpKind op) {
    const KernelRows rows = pointwise_rows();
    const Kernel* row = rows.rows;
    while (row->op != op) ++row;
    return *row;
}

size_t workspace(const Problem& p, int threads) {
    Product product = {};
    make_product(p, nullptr, product);
    return static_cast<size_t>(product.patches_floats + product.image_floats) * sizeof(float) +
           pointwise(p.op).workspace(product.args, threads);
}

// Where 16 neighbouring numbers of a patch lie in the image, from the patch's first pixel on: in runs of neighbours.
struct Runs {
    int count;
    int lane[block], length[block];
    int64_t at[block];
};

Runs runs_of(const KernelTensor& x, const KernelTensor& w, int64_t first) {
    Runs runs = {};
    const int64_t r_size = w.dim[2], s_size = w.dim[3], total = w.dim[1] * r_size * s_size;
    for (int lane = 0; lane < block && first + lane < total;) {
        const int64_t j = first + lane, s = j % s_size, r = j / s_size % r_size, c = j / s_size / r_size;
        int64_t length = s_size - s;
        if (length > block - lane) length = block - lane;
        runs.at[runs.count] = (c * x.dim[2] + r) * x.dim[3] + s;
        runs.lane[runs.count] = lane;
        runs.length[runs.count++] = static_cast<int>(length);
        lane += static_cast<int>(length);
    }
    return runs;
}

enum class Way { to_patches, to_image };

// One pixel of a block of the copy and the 16 numbers of the image.
template <Way way>
XB_INLINE void copy_patch(const Runs& runs, float* image, float* patch) {
    if (runs.count == 1 && runs.length[0] == block) {
        const Chunk line = chunk_load(way == Way::to_patches ? image + runs.at[0] : patch);
        chunk_store(way == Way::to_patches ? patch : image + runs.at[0], line);
        return;
    }
    if (way == Way::to_patches) chunk_store(patch, chunk_set1(0));
    for (int i = 0; i < runs.count; ++i)
        for (int k = 0; k < runs.length[i]; ++k) {
            float &there = image[runs.at[i] + k], &here = patch[runs.lane[i] + k];
            way == Way::to_patches ? here = there : there = here;
        }
}

// x plain, w canonical; threads share the blocks of the copy.
template <Way way>
void copy_patches(const KernelTensor& x, const KernelTensor& w, const KernelTensor& patches, const Team& team) {
    const int64_t blocks = div_up(patches.dim[1], block), rows = patches.dim[2], columns = patches.dim[3];
    const Share mine = share_of(patches.dim[0] * blocks, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const Runs runs = runs_of(x, w, task % blocks * block);
        float* image = static_cast<float*>(x.data) + task / blocks * x.dim[1] * x.dim[2] * x.dim[3];
        float* patch = static_cast<float*>(patches.data) + task * rows * columns * block;
        for (int64_t p = 0; p < rows; ++p)
            for (int64_t q = 0; q < columns; ++q, patch += block)
                copy_patch<way>(runs, image + p * w.dim[2] * x.dim[3] + q * w.dim[3], patch);
    }
}

// Between a plain y and its copy in blocks.
template <Way way>
void copy_output(const KernelTensor& plain, const KernelTensor& blocked, const Team& team) {
    const int64_t blocks = div_up(plain.dim[1], block), pixels = plain.dim[2] * plain.dim[3];
    const Share mine = share_of(plain.dim[0] * blocks, team);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
        const int64_t n = task / blocks, k = task % blocks * block, left = plain.dim[1] - k;
        float* rows = static_cast<float*>(plain.data) + (n * plain.dim[1] + k) * pixels;
        float* copy = static_cast<float*>(blocked.data) + task * pixels * block;
        const int64_t channels = left < block ? left : block;
        way == Way::to_patches ? to_blocked(rows, pixels, copy, channels, pixels)
                               : to_plain(copy, rows, pixels, channels, pixels);
    }
}

void clear(const KernelTensor& x, const Team& team) {
    const Share mine = share_of(x.dim[0] * x.dim[1] * x.dim[2] * x.dim[3], team);
    for (int64_t i = mine.begin; i < mine.end; ++i) static_cast<float*>(x.data)[i] = 0;
}

void run(const KernelArgs& args, const Team& team) noexcept {
    Problem own = args;
    const Operands at = operands_of(own);
    Product product = {};
    make_product(args, static_cast<float*>(args.workspace), product);
    product.args.step = args.step;
    const bool copied = product.image_floats > 0;
    if (args.op == OpKind::conv2d_dgrad) {
        const bool rim = at.x->dim[2] != at.y->dim[2] * at.w->dim[2] || at.x->dim[3] != at.y->dim[3] * at.w->dim[3];
        if (rim) clear(*at.x, team);
    } else {
        copy_patches<Way::to_patches>(*at.x, *at.w, product.patches, team);
    }
    if (copied && args.op != OpKind::conv2d) copy_output<Way::to_patches>(*at.y, product.image, team);
    team.barrier();
    pointwise(args.op).run(product.args, team);
    if (args.op == OpKind::conv2d_wgrad || (args.op == OpKind::conv2d && !copied)) return;
    team.barrier();
    if (args.op == OpKind::conv2d_dgrad)
        copy_patches<Way::to_image>(*at.x, *at.w, product.patches, team);
    else
        copy_output<Way::to_image>(*at.y, product.image, team);
}

const Kernel rows[] = {
    {OpKind::conv2d, "patches", this_isa, in_f32<supports>, workspace, run, 1, wins},
    {OpKind::conv2d_dgrad, "patches", this_isa, in_f32<supports>, workspace, run, 1, wins},
    {OpKind::conv2d_wgrad, "patches", this_isa, in_f32<supports>, workspace, run, 1, wins},
};

}  // namespace

KernelRows patches_rows() { return KernelRows{rows, static_cast<int>(sizeof rows / sizeof rows[0])}; }

}  // namespace XB_ISA_NAMESPACE
}  // namespace xbench
