// Shapes, element types, memory layouts, and a view of a tensor that has another owner.
// A tensor is always dense in its layout: there are no strides (docs/adr/0002-dense-layouts.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "core/types.h"

namespace xbench {

inline constexpr int64_t channel_block = 16;

struct Shape {
    int32_t rank = 0;
    std::array<int64_t, 5> dim{};

    Shape() = default;
    Shape(std::initializer_list<int64_t> dims);
    int64_t operator[](int axis) const { return dim[static_cast<size_t>(axis)]; }
    int64_t& operator[](int axis) { return dim[static_cast<size_t>(axis)]; }
    int64_t elements() const;  // logical
    bool operator==(const Shape&) const = default;
};

size_t size_of(DType dtype);                                 // bytes of one element
const char* name_of(DType dtype);                            // "f32"
const char* name_of(Layout layout);                          // "plain"
std::string to_string(const Shape& shape);                   // "8x16x64x64"
int64_t stored_elements(const Shape& shape, Layout layout);  // including the padding of the layout
size_t stored_bytes(const Shape& shape, DType dtype, Layout layout);
// Where the element lies that is number `element` in plain order, in elements from the tensor's first.
int64_t stored_index(const Shape& shape, Layout layout, int64_t element);

struct TensorView {
    void* data = nullptr;
    DType dtype = DType::f32;
    Layout layout = Layout::plain;
    Shape shape;

    template <class T>
    T* as() const {
        return static_cast<T*>(data);
    }
    size_t bytes() const { return stored_bytes(shape, dtype, layout); }
};

}  // namespace xbench
