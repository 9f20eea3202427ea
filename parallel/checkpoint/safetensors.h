// The safetensors file format: a little-endian u64 with the length of a JSON header, the header, then the tensors' bytes.
// A tensor's entry in the header is {"dtype", "shape", "data_offsets": [begin, end)} relative to the end of the header;
// "__metadata__" maps strings to strings. PyTorch, h5py-like tools and Hugging Face's library read and write the same.
// Files come from anywhere, so everything in them is checked before it is used; an Error names file, tensor and remedy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace xbench {

// One tensor as fp32, dense, row-major. A scalar has rank 0 and one element.
struct NamedTensor {
    std::string name;
    Shape shape;
    std::vector<float> data;
};

// Named integers, as PyTorch's num_batches_tracked: kept apart, as they are no weights.
struct NamedInteger {
    std::string name;
    int64_t value = 0;
};

// A file's content. Tensors are in the order of their bytes in the file.
struct TensorFile {
    std::vector<NamedTensor> tensors;
    std::vector<NamedInteger> integers;  // I64 scalars
    std::map<std::string, std::string> metadata;
};

// F64, F16 and BF16 are converted to fp32; I64 is read as a scalar only. Throws Error.
TensorFile read_safetensors(const std::filesystem::path& path);

// Writes F32 tensors in the given order (and I64 scalars in front of them) to a temporary name beside `path`, syncs it to
// the disk and renames it: a reader sees the old file or the new one, never a part. Throws Error.
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace xbench
