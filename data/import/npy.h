// The head of a NumPy array file (.npy, versions 1 to 3): element type, order and shape. Its text is not evaluated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace xbench {

struct NpyHead {
    char kind = 'u';  // b, u, i, f as NumPy has them
    int bytes = 1;    // of an element
    bool big_endian = false, fortran = false;
    std::vector<int64_t> shape;
    size_t head_bytes = 0;  // before the elements
    uint64_t elements() const;
};

// `start` is the start of the file, of which at most 64 KiB are the head. Throws Error saying what is wrong.
NpyHead parse_npy(std::string_view start);
// Element i of raw elements, as a number.
double npy_number(const NpyHead& head, const uint8_t* elements, size_t i);

}  // namespace xbench
