// Seeded faults: each changes a text of a kernel for GPUs, and gpu_mutation_test.cpp must notice it in the call that is
// named here. Texts are taken as the sources have them, without the spaces between words; each must stand exactly once in
// its file.
#pragma once

#include <vector>

namespace xbench {

// How the operands of a problem lie: as it says, in nhwc, in nhwc with plain filters, or a plain image in front of a plan in
// nhwc.
enum class Lies { plain, nhwc, nhwc_with_plain_filters, first_layer };

struct Edit {
    const char *file, *text, *becomes;
};

struct SourceMutation {
    const char* name;
    const char* stem;     // of the .cu whose kernels are built again
    const char* kernels;  // of those that macros make of one line each, these only; null: all
    std::vector<Edit> edits;
    const char *operation, *row;  // that is called
    Lies lies;
    const char* problem;  // a line of problems.cfg
};

// clang-format off
#define XB_CONV     "kernels/conv2d/"
#define XB_HALO     XB_CONV "halo_gemm/"
#define XB_IMPLICIT XB_CONV "implicit_gemm/"

inline const std::vector<SourceMutation>& source_mutations() {
    static const std::vector<SourceMutation> all = {
        // First layers on plain images.
        {"stem_without_barrier", "stem_nhwc", nullptr,
         {{XB_CONV "stem_nhwc.cu", "load_stem_filters<vec>(weights, filters, s); __syncthreads();",
           "load_stem_filters<vec>(weights, filters, s);"}},
         "conv2d", "stem", Lies::first_layer, "conv2d n2 c3 h9 w11 k20 r3 pad1 leaves2"},
        {"stem_rim_one_column_off", "stem_nhwc", nullptr,
         {{XB_CONV "stem_nhwc.cuh", "w = at - line * s.x_pitch - conv.pad_w;", "w = at - line * s.x_pitch - conv.pad_w + 1;"}},
         "conv2d_statistics", "stem", Lies::first_layer, "conv2d_statistics n2 c3 h9 w11 k20 r3 pad1 leaves2"},
        {"stem_pool_leaves_out_a_pixel", "stem_nhwc", nullptr,
         {{XB_CONV "stem_nhwc.cu", "for (int at = 1; at < 4; ++at) best.meet", "for (int at = 1; at < 3; ++at) best.meet"}},
         "conv2d_pool", "stem", Lies::first_layer, "conv2d_pool n2 c1 h10 w12 k8 r3 pad1 relu leaves2"},
        {"stem_wgrad_without_barrier", "stem_wgrad_nhwc", nullptr,
         {{XB_CONV "stem_wgrad_nhwc.cu", "some[e][i] = sums[begin + e][i]; __syncthreads();", "some[e][i] = sums[begin + e][i];"}},
         "conv2d_wgrad", "stem", Lies::first_layer, "conv2d n2 c3 h9 w11 k20 r3 pad1 leaves2"},
        {"stem_wgrad_writes_an_element_too_many", "stem_wgrad_nhwc", nullptr,
         {{XB_CONV "stem_wgrad_nhwc.cu", "if (first + begin + e < depth)", "if (first + begin + e <= depth)"}},
         "conv2d_wgrad", "stem", Lies::first_layer, "conv2d n2 c2 h9 w11 k20 r3 pad1 leaves2"},

        // 3x3 filters on the tensor cores.
        {"halo_rim_one_row_off", "halo_gemm_bf16", "xb_halo_32",
         {{XB_HALO "halo_gemm.cuh", "h = tile.first_row - p.pad_h + i,", "h = tile.first_row - p.pad_h + i + 1,"}},
         "conv2d", "halo_gemm", Lies::nhwc_with_plain_filters, "conv2d n1 c16 h9 w11 k20 r3 pad1 bf16"},
        {"halo_overwrites_what_is_read", "halo_gemm_bf16", "xb_halo_32",
         {{XB_HALO "halo_gemm.cuh", "__syncthreads();  // everybody has read what is overwritten", ""}},
         "conv2d", "halo_gemm", Lies::nhwc_with_plain_filters, "conv2d n1 c40 h9 w11 k20 r3 pad1 bf16"},
        {"halo_does_not_wait_for_filters", "halo_gemm_bf16", "xb_halo_32",
         {{XB_HALO "halo_gemm.cuh", "wait_for_copies<0>();", ""}},
         "conv2d", "halo_gemm", Lies::nhwc_with_plain_filters, "conv2d n1 c16 h9 w11 k20 r3 pad1 bf16"},
        {"halo_fragment_of_the_wrong_half", "halo_gemm_bf16", "xb_halo_32",
         {{XB_HALO "halo_gemm.cuh", "const int column = (lane & 7) + half * 8;", "const int column = (lane & 7) + (lane >> 3 & 1) * 8;"}},
         "conv2d_dgrad", "halo_gemm", Lies::nhwc_with_plain_filters, "conv2d n1 c20 h9 w11 k16 r3 pad1 bf16"},
        {"halo_without_swizzle", "halo_gemm_bf16", "xb_halo_32",
         {{XB_HALO "halo_gemm.cuh", "((unit ^ (pixel >> 1 & 3)) << 4)", "(unit << 4)"}},
         "conv2d", "halo_gemm", Lies::nhwc_with_plain_filters, "conv2d n1 c32 h16 w16 k20 r3 pad1 bf16"},
        {"halo_pool_stores_outside_of_the_image", "halo_gemm_bf16", "xb_halo_pool_32",
         {{XB_HALO "halo_gemm.cuh", "const bool exists = i < height && j < width;", "const bool exists = i < height;"}},
         "conv2d_pool", "halo_gemm", Lies::nhwc_with_plain_filters, "conv2d_pool n1 c16 h10 w10 k20 r3 pad1 bf16"},
        {"halo_statistics_without_barrier", "halo_gemm_bf16", "xb_halo_statistics_32",
         {{XB_HALO "halo_gemm.cuh", "of_warps[warp][which][e * 8 + lane * 2 + right] = sum; } __syncthreads();",
           "of_warps[warp][which][e * 8 + lane * 2 + right] = sum; }"}},
         "conv2d_statistics", "halo_gemm", Lies::nhwc_with_plain_filters, "conv2d_statistics n1 c16 h9 w11 k20 r3 pad1 bf16"},
        {"halo_wgrad_reads_the_wrong_tap", "halo_wgrad_bf16", "lowest",
         {{XB_HALO "halo_wgrad.cuh", "shift = mine / 3 * width + mine % 3;", "shift = mine / 3 * width + mine % 2;"}},
         "conv2d_wgrad", "halo_gemm", Lies::nhwc_with_plain_filters, "conv2d n2 c8 h9 w11 k16 r3 pad1 leaves2 bf16"},
        {"halo_wgrad_without_barrier", "halo_wgrad_bf16", "lowest",
         {{XB_HALO "halo_wgrad.cuh", "__syncthreads(); if (turn != of_pixels) continue;", "if (turn != of_pixels) continue;"}},
         "conv2d_wgrad", "halo_gemm", Lies::nhwc_with_plain_filters, "conv2d n2 c8 h9 w11 k16 r3 pad1 leaves2 bf16"},

        // Any filters and linear layers on the tensor cores. No size fills a tile.
        {"gather_without_barrier", "implicit_gemm_bf16", "narrow",
         {{"kernels/cuda/gemm_tile.cuh", "wait_for_copies<stages - 2>(); __syncthreads();", "wait_for_copies<stages - 2>();"}},
         "conv2d", "implicit_gemm", Lies::nhwc, "conv2d n2 c16 h9 w11 k20 r3 pad1 leaves2 bf16"},
        {"gather_without_wait", "implicit_gemm_bf16", "medium",
         {{"kernels/cuda/gemm_tile.cuh", "wait_for_copies<stages - 2>();", ""}},
         "conv2d", "implicit_gemm", Lies::nhwc, "conv2d n2 c48 h8 w9 k36 r3 pad1 leaves2 bf16"},
        {"gather_reads_outside_of_the_image", "implicit_gemm_bf16", "wide",
         {{XB_IMPLICIT "gather_place.cuh", "static_cast<unsigned>(at) < static_cast<unsigned>(source) ? 1u : 0u", "1u"}},
         "conv2d", "implicit_gemm", Lies::nhwc, "conv2d n1 c68 h9 w11 k68 r3 pad1 bf16"},
        {"gather_past_the_end_of_the_sum", "implicit_gemm_bf16", "odd",
         {{XB_IMPLICIT "gather_place.cuh", "const bool inside = k_ < end_;", "const bool inside = true;"}},
         "conv2d", "implicit_gemm", Lies::nhwc, "conv2d n2 c5 h7 w10 k12 r3 pad1 leaves2 bf16"},
        {"gather_past_the_last_filter", "implicit_gemm_bf16", "narrow",
         {{XB_IMPLICIT "gather_product.cuh", "left_ = p.columns - column;", "left_ = T::columns;"}},
         "conv2d_dgrad", "implicit_gemm", Lies::nhwc, "conv2d n2 c20 h9 w11 k16 r3 pad1 leaves2 bf16"},
        {"gather_stores_past_the_last_row", "implicit_gemm_bf16", "medium",
         {{XB_IMPLICIT "gather_product.cuh", "if (row >= block.rows || left <= 0) return;", "if (left <= 0) return;"}},
         "conv2d_dgrad", "implicit_gemm", Lies::nhwc, "conv2d n2 c48 h8 w9 k36 r3 pad1 leaves2 bf16"},
        {"filters_read_outside_of_the_image", "implicit_gemm_bf16", "lowest",
         {{XB_IMPLICIT "filter_gradient.cuh", "source + offset_, hit);", "source + offset_, true);"}},
         "conv2d_wgrad", "implicit_gemm", Lies::nhwc, "conv2d n2 c16 h9 w11 k20 r3 pad1 leaves2 bf16"},
        {"filters_past_the_last_pixel", "implicit_gemm_bf16", "low",
         {{XB_IMPLICIT "filter_gradient.cuh", "copy_async<4 * vec>(stage + to, at_, j * apart < left_);",
           "copy_async<4 * vec>(stage + to, at_, true);"}},
         "conv2d_wgrad", "implicit_gemm", Lies::nhwc, "conv2d n2 c48 h8 w9 k36 r3 pad1 leaves2 bf16"},
        {"filters_bias_without_barrier", "implicit_gemm_bf16", "odd",
         {{XB_IMPLICIT "filter_gradient.cuh", "sums[threadIdx.y][threadIdx.x] = sum; __syncthreads();",
           "sums[threadIdx.y][threadIdx.x] = sum;"}},
         "conv2d_wgrad", "implicit_gemm", Lies::nhwc, "conv2d n2 c7 h7 w10 k7 r3 pad1 leaves2 bf16"},
        {"linear_reads_past_the_last_column", "implicit_gemm_bf16", "crossed_odd",
         {{XB_IMPLICIT "gather_product.cuh", "left_ = column < p.columns ? block.k_end - block.k_begin - first : 0;",
           "left_ = block.k_end - block.k_begin - first;"}},
         "linear_dgrad", "tensor_gemm", Lies::plain, "linear n5 f71 k21 leaves2 bf16"},
        {"leaves_are_added_in_a_row", "leaf_outer", "bf16",
         {{"kernels/cuda/leaf_tree.cuh", "bool carries = true;", "stack_[0] = v == 0 ? sum : stack_[0] + sum; bool carries = false;"},
          {"kernels/cuda/leaf_tree.cuh", "const bool full = leaves >> level & 1;", "const bool full = level == 0;"}},
         "linear_wgrad", "leaf_outer", Lies::plain, "linear n8 f72 k20 leaves8 bf16"},
        {"leaf_outer_reads_past_the_row", "leaf_outer", "bf16",
         {{"kernels/linear/leaf_outer.cu", "x[i] = i < left ? from[i] : 0.0f;", "x[i] = from[i];"}},
         "linear_wgrad", "leaf_outer", Lies::plain, "linear n5 f71 k21 leaves2 bf16"},

        // Convolutions and linear layers in f32.
        {"gemm_overwrites_what_is_read", "conv2d_simt", nullptr,
         {{XB_CONV "conv2d_simt.cu", "multiply(tiles, tx, ty, sum); __syncthreads();", "multiply(tiles, tx, ty, sum);"}},
         "conv2d", "gemm", Lies::plain, "conv2d n2 c5 h7 w9 k19 r3 pad1 stride2 leaves2"},
        {"gemm_stride_of_the_wrong_axis", "conv2d_simt", nullptr,
         {{XB_CONV "conv2d_simt.cu", "w0 = pixel % s.q * s.stride_w - s.pad_w;", "w0 = pixel % s.q * s.stride_h - s.pad_w;"}},
         "conv2d", "gemm", Lies::plain, "conv2d n1 c5 h9 w9 k19 r3 pad1 stride_h2 stride_w1"},
        {"gemm_wgrad_counts_the_rim", "conv2d_wgrad_simt", nullptr,
         {{XB_CONV "conv2d_wgrad_simt.cu", "dw = (tap - r * s.s) * s.dilation_w - s.pad_w;", "dw = (tap - r * s.s) * s.dilation_w;"}},
         "conv2d_wgrad", "gemm", Lies::plain, "conv2d n2 c5 h7 w9 k19 r3 pad1 stride2 leaves2"},
        {"direct_rim_one_column_off", "conv2d_direct", "direct_forward_pad1_staged",
         {{XB_CONV "direct_conv.cuh", "w = first_column - lead + column;", "w = first_column - lead + column + 1;"}},
         "conv2d", "direct", Lies::plain, "conv2d n1 c4 h9 w11 k8 r3 pad1"},
        {"direct_filters_not_turned_round", "conv2d_direct", "direct_dgrad_pad1_staged",
         {{XB_CONV "direct_conv.cuh", "* direct_taps + (direct_taps - 1 - tap);", "* direct_taps + tap;"}},
         "conv2d_dgrad", "direct", Lies::plain, "conv2d n1 c4 h9 w11 k8 r3 pad1"},
        {"direct_statistics_without_barrier", "conv2d_direct_fused", "1",
         {{XB_CONV "conv2d_direct_fused.cu", "of_warps[thread / 32][k][1] = pair[1]; } __syncthreads();",
           "of_warps[thread / 32][k][1] = pair[1]; }"}},
         "conv2d_statistics", "direct", Lies::plain, "conv2d_statistics n2 c4 h18 w20 k8 r3 pad1 leaves2"},
        {"direct_pool_drops_its_neighbour", "conv2d_direct_fused", "1",
         {{XB_CONV "conv2d_direct_fused.cu", "const bool keeps = kept >> (2 * k + j) & 1;",
           "const bool keeps = kept >> (2 * k + 1 - j) & 1;"}},
         "conv2d_pool", "direct", Lies::plain, "conv2d_pool n2 c4 h10 w12 k8 r3 pad1 p=0.4 leaves2"},
        {"direct_wgrad_keeps_an_old_row", "conv2d_direct_wgrad", "1",
         {{XB_CONV "direct_wgrad.cuh", "row == first_row ? 0 : 2);", "row == first_row ? 0 : 3);"}},
         "conv2d_wgrad", "direct", Lies::plain, "conv2d n1 c4 h30 w12 k8 r3 pad1"},
        {"direct_pool_wgrad_outside_of_the_pooled_image", "conv2d_direct_wgrad_fused", "1",
         {{XB_CONV "conv2d_direct_wgrad_fused.cu", "if (!inside || p >= height || q >= width) return 0;",
           "if (!inside || p >= height) return 0;"}},
         "conv2d_pool_wgrad", "direct", Lies::plain, "conv2d_pool n2 c1 h10 w11 k8 r3 pad1 leaves2"},
        {"linear_overwrites_what_is_read", "linear_simt", nullptr,
         {{"kernels/linear/linear_simt.cu", "sum[i][j] = dot(a[i], b[j], sum[i][j]); } __syncthreads();",
           "sum[i][j] = dot(a[i], b[j], sum[i][j]); }"}},
         "linear", "simt", Lies::plain, "linear n3 f333 k40"},
        {"linear_parts_left_out", "linear_simt", nullptr,
         {{"kernels/linear/linear_simt.cu", "for (int part = 0; part < part_count; ++part)",
           "for (int part = 1; part < part_count; ++part)"}},
         "linear", "simt", Lies::plain, "linear n3 f333 k40"},

        // Batch normalisations.
        {"statistics_skip_pixels", "batchnorm", nullptr,
         {{"kernels/batchnorm/plane.cuh", "first += 4 * threads)", "first += 4 * threads + 4)"}},
         "batchnorm_statistics", "simt", Lies::plain, "batchnorm n2 c3 h40 leaves2"},
        {"variance_is_biased", "batchnorm", nullptr,
         {{"kernels/batchnorm/batchnorm.cu", "var * count / (count - 1)", "var"}},
         "batchnorm_finalize", "simt", Lies::plain, "batchnorm n2 c3 h4 leaves2"},
        {"normalise_with_the_neighbour_s_numbers", "batchnorm", nullptr,
         {{"kernels/batchnorm/batchnorm.cu", "if (!vectors && i > 0) c = at.channel(i, pixels);", ""}},
         "batchnorm_apply", "simt", Lies::plain, "batchnorm n2 c3 h7 w9 leaves2"},
        {"rows_added_without_barrier", "batchnorm_nhwc", nullptr,
         {{"kernels/cuda/nhwc_walk.cuh", "half /= 2) { __syncthreads();", "half /= 2) {"}},
         "batchnorm_statistics", "nhwc", Lies::nhwc, "batchnorm n2 c8 h16 leaves2"},
        {"walk_past_the_last_pixel", "batchnorm_nhwc", nullptr,
         {{"kernels/cuda/nhwc_walk.cuh", "end = min(first + walk.part, walk.items);", "end = first + walk.part;"}},
         "batchnorm_apply", "nhwc", Lies::nhwc, "batchnorm n2 c8 h7 w9 leaves2"},
        {"gradient_of_a_window_that_is_not", "batchnorm_pool_nhwc", nullptr,
         {{"kernels/batchnorm/batchnorm_pool_nhwc.cu", "if (p < s.p && q < s.q) {", "if (p < s.p) {"}},
         "batchnorm_pool_grad_input", "nhwc", Lies::nhwc, "batchnorm_pool n2 c8 h6 w7 leaves2 relu"},
        {"window_takes_the_smallest", "batchnorm_pool", nullptr,
         {{"kernels/batchnorm/normalised_window.cuh", "if (this->place >= 0 && !beats(value, largest)) return;",
           "if (this->place >= 0 && beats(value, largest)) return;"}},
         "batchnorm_pool_apply", "simt", Lies::plain, "batchnorm_pool n2 c3 h6 w8 leaves2 relu"},

        // Poolings.
        {"window_reads_below_the_image", "pool2d", nullptr,
         {{"kernels/pool2d/covering.cuh", "h_end(min(top + a.r, height)),", "h_end(top + a.r),"}},
         "max_pool2d", "simt", Lies::plain, "max_pool2d n2 c3 h9 w11 r3 stride2 pad1"},
        {"gradient_misses_a_window", "pool2d_nhwc", nullptr,
         {{"kernels/pool2d/covering.cuh", "last(min(outputs, (at + pad) / stride + 1))", "last(min(outputs, (at + pad) / stride))"}},
         "max_pool2d_grad", "nhwc", Lies::nhwc, "max_pool2d n2 c8 h9 w11 r3 stride1"},
        {"touching_windows_beyond_the_rim", "pool2d_nhwc", nullptr,
         {{"kernels/pool2d/pool2d_nhwc.cu", "q * a.s + t < s.w; ++t", "true; ++t"}},
         "max_pool2d_grad", "nhwc", Lies::nhwc, "max_pool2d n2 c8 h9 w11 r2"},

        // Losses, dropout.
        {"largest_of_half_a_warp", "loss", nullptr,
         {{"kernels/loss/loss.cu", "for (int distance = 16; distance > 0; distance /= 2) {",
           "for (int distance = 8; distance > 0; distance /= 2) {"}},
         "softmax_cross_entropy", "simt", Lies::plain, "softmax_cross_entropy n5 k37 leaves4"},
        {"unknown_targets_count", "loss", nullptr,
         {{"kernels/loss/loss.cu", "const double slope = t < 0 ? 0 : (1 - t) * s", "const double slope = (1 - t) * s"}},
         "bce_with_logits_grad", "simt", Lies::plain, "bce_with_logits n9 k14 leaves4"},
        {"leaves_met_without_barrier", "loss", nullptr,
         {{"kernels/cuda/image_sums.cuh", "sum_of_leaf(from, step, v + lane, column) : T{0}; __syncthreads();",
           "sum_of_leaf(from, step, v + lane, column) : T{0};"}},
         "softmax_cross_entropy", "simt", Lies::plain, "softmax_cross_entropy n8 k10 leaves8"},
        {"wrong_counter_of_philox", "dropout", nullptr,
         {{"kernels/cuda/philox.cuh", "static_cast<uint64_t>(first) / 4", "static_cast<uint64_t>(first) / 8"}},
         "dropout", "simt", Lies::plain, "dropout n3 c5 h5 w7 p=0.5"},
        {"mask_of_the_place_in_the_batch", "dropout_nhwc", nullptr,
         {{"kernels/cuda/philox.cuh", "static_cast<uint64_t>(sample_ids_[image])", "static_cast<uint64_t>(image)"}},
         "dropout_grad", "nhwc", Lies::nhwc, "dropout n3 c8 h5 w7 p=0.5"},

        // Optimizers, elementwise.
        {"momenta_share_a_decay", "optimizer", nullptr,
         {{"kernels/optimizer/optimizer.cu", "power(a.beta2, t)", "power(a.beta1, t)"}},
         "adam", "flat", Lies::plain, "adam n1003 update=3 weight_decay=0.01"},
        {"factors_without_barrier", "optimizer", nullptr,
         {{"kernels/optimizer/optimizer.cu", "factors = adam_factors(a, *step, scaling); __syncthreads();",
           "factors = adam_factors(a, *step, scaling);"}},
         "adam", "flat", Lies::plain, "adam n1003 update=3"},
        {"last_quad_stored_whole", "optimizer", nullptr,
         {{"kernels/cuda/map.cuh", "if (vectors && first + 4 <= count) { store_quad", "if (vectors) { store_quad"}},
         "sgd", "flat", Lies::plain, "sgd n1003 update=5"},
        {"line_reads_past_the_end", "optimizer", nullptr,
         {{"kernels/optimizer/optimizer.cu", "16 * line + i < count ? g[16 * line + i] : 0.0f", "g[16 * line + i]"}},
         "square_sums", "flat", Lies::plain, "square_sums n1003"},
        {"transposed_without_barrier", "reorder", nullptr,
         {{"kernels/elementwise/reorder.cu", "__syncthreads(); in_nhwc_order", "in_nhwc_order"}},
         "reorder", "transpose", Lies::plain, "reorder n2 c17 h5 w7"},
    };
    return all;
}

// clang-format on

#undef XB_CONV
#undef XB_HALO
#undef XB_IMPLICIT

}  // namespace xbench
