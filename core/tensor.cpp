// Sizes and names of shapes, element types and layouts.
#include "core/tensor.h"

#include <algorithm>

#include "core/error.h"

namespace xbench {

Shape::Shape(std::initializer_list<int64_t> dims) : rank(static_cast<int32_t>(dims.size())) {
    if (dims.size() > dim.size()) throw Error("a shape has at most 5 dimensions");
    std::copy(dims.begin(), dims.end(), dim.begin());
}

int64_t Shape::elements() const {
    int64_t count = 1;
    for (int axis = 0; axis < rank; ++axis) count *= (*this)[axis];
    return count;
}

size_t size_of(DType dtype) {
    switch (dtype) {
        case DType::u8: return 1;
        case DType::bf16:
        case DType::f16: return 2;
        case DType::f32:
        case DType::tf32:
        case DType::i32: return 4;
        case DType::f64:
        case DType::i64: return 8;
    }
    return 0;
}

const char* name_of(DType dtype) {
    switch (dtype) {
        case DType::u8: return "u8";
        case DType::bf16: return "bf16";
        case DType::f16: return "f16";
        case DType::tf32: return "tf32";
        case DType::f32: return "f32";
        case DType::i32: return "i32";
        case DType::f64: return "f64";
        case DType::i64: return "i64";
    }
    return "?";
}

const char* name_of(Layout layout) {
    switch (layout) {
        case Layout::plain: return "plain";
        case Layout::nchw16c: return "nchw16c";
        case Layout::nhwc: return "nhwc";
    }
    return "?";
}

std::string to_string(const Shape& shape) {
    std::string text;
    for (int axis = 0; axis < shape.rank; ++axis) text += (axis ? "x" : "") + std::to_string(shape[axis]);
    return text.empty() ? "scalar" : text;
}

int64_t stored_elements(const Shape& shape, Layout layout) {
    if (layout != Layout::nchw16c) return shape.elements();
    Shape padded = shape;
    padded[1] = (shape[1] + channel_block - 1) / channel_block * channel_block;
    return padded.elements();
}

size_t stored_bytes(const Shape& shape, DType dtype, Layout layout) {
    return static_cast<size_t>(stored_elements(shape, layout)) * size_of(dtype);
}

int64_t stored_index(const Shape& shape, Layout layout, int64_t element) {
    if (layout == Layout::plain) return element;
    int64_t pixels = 1;
    for (int axis = 2; axis < shape.rank; ++axis) pixels *= shape[axis];
    const int64_t channels = shape[1], pixel = element % pixels, c = element / pixels % channels;
    const int64_t n = element / pixels / channels;
    if (layout == Layout::nhwc) return (n * pixels + pixel) * channels + c;
    const int64_t blocks = (channels + channel_block - 1) / channel_block;
    return ((n * blocks + c / channel_block) * pixels + pixel) * channel_block + c % channel_block;
}

}  // namespace xbench
