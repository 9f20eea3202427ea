// Writes and reads the HDF5 set of format.md. Nothing else in xbench includes hdf5.h.
//
// HDF5's C library is not thread-safe: every call in this file is made under one mutex of the process. Sets whose pixels
// fit (memory_limit_bytes) are read into memory once and do not need it afterwards.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "data/set/image_set.h"

namespace xbench {

// Writes a set image by image under a temporary name; finish() closes, syncs and renames (core/durable_file.h). A writer
// that is destroyed unfinished, or could not write, leaves no file behind.
class H5Writer {
public:
    // info.count is the most images that may be appended, unless the set grows. Throws Error when the file cannot be made.
    H5Writer(const std::string& path, const DatasetInfo& info, bool grows = false);
    ~H5Writer();
    H5Writer(const H5Writer&) = delete;
    H5Writer& operator=(const H5Writer&) = delete;
    // One or several whole images.
    void append(std::span<const uint8_t> pixels);
    // Everything else, for exactly the images appended. Fills in records.info.count and the pixel statistics.
    void finish(SetRecords& records);

private:
    struct State;
    std::unique_ptr<State> state_;
};

void write_h5(const std::string& path, ImageSet& set);

// Whether the file is HDF5 by its first bytes, or says by its name (.h5, .hdf5) that it should be.
bool is_hdf5(const std::string& path);
// Throws Error naming file, place and remedy for a file that is missing, broken, or not a set.
std::unique_ptr<Dataset> open_h5(const std::string& path, int64_t memory_limit_bytes = int64_t{2} << 30);
// Everything but the pixels: for exploring, and for boxes.
SetRecords read_h5_records(const std::string& path);
ImageSet read_h5(const std::string& path);

}  // namespace xbench
