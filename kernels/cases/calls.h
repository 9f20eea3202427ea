// Shared by the cases.cpp of the operators: turning a line into calls, and filling and measuring their operands.
#pragma once

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "kernels/cases/op_cases.h"
#include "kernels/registry.h"

namespace xbench {

// ---- the calls of a line ----

inline KernelTensor tensor(const Shape& shape, Layout layout = Layout::plain, DType dtype = DType::f32) {
    return kernel_tensor(shape, dtype, layout);
}

LayerProblem call(OpKind op, const Attrs& attrs, std::vector<KernelTensor> in, std::vector<KernelTensor> out);
Shape infer_shape(OpKind op, const Attrs& attrs, std::initializer_list<Shape> operands);  // of the first output

inline constexpr Layout layouts[] = {Layout::plain, Layout::nchw16c};

// Keys of LineKind that go together.
#define XB_IMAGE_KEYS  "c# h# w# "
#define XB_WINDOW_KEYS "r# s# stride# stride_h# stride_w# pad# pad_h# pad_w# "

inline Shape image_shape(const ProblemFields& f) {
    return {f.size("n"), f.size("c"), f.size("h"), f.size("w", f.size("h"))};
}
inline Activation activation(const ProblemFields& f) { return f.has("relu") ? Activation::relu : Activation::none; }
inline DType products(const ProblemFields& f) {
    return f.has("bf16") ? DType::bf16 : f.has("f16") ? DType::f16 : f.has("tf32") ? DType::tf32 : DType::f32;
}
Dropout folded_dropout(const ProblemFields& f);  // of a pooling: the dropout behind it
// Images in both layouts or, when the line gives f, rows of features.
std::vector<KernelTensor> images_or_rows(const ProblemFields& f);

// ---- data ----

template <class F>
void transform(const KernelTensor& t, F&& f) {
    for (int64_t i = 0; i < elements_of(t); ++i) set_element(t, i, f(element(t, i)));
}

void make_positive_part(const KernelTensor& t);  // max(v, 0): the output of a ReLU
// mean_rstd or sums {2,c}: the second row is made of another function of the random number and the first row's.
template <class F>
void fill_second_row(const KernelTensor& t, F&& f) {
    const int64_t channels = t.dim[1];
    for (int64_t c = 0; c < channels; ++c) set_element(t, channels + c, f(element(t, channels + c), element(t, c)));
}
inline double positive(double v, double = 0) { return 0.5 + std::fabs(v); }
// Every third window is closed; the index of the others becomes `other`, or stays where that is negative.
void close_windows(const KernelTensor& index, Random& random, double other);
// Positions that the reference's max-pooling of a random image finds.
void fill_pool_index(KernelTensor x, KernelTensor y, const KernelTensor& index, const Pool2d& pool, const Fill& fill);

// ---- magnitudes ----

void make_absolute(const KernelTensor& t);
void absolute_inputs(const KernelArgs& args);  // all that are floating point
inline constexpr Magnitudes of_absolute_inputs{absolute_inputs};
inline constexpr Magnitudes of_result{nullptr};

}  // namespace xbench
