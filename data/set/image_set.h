// A labelled set of images as import and synth make it and as the HDF5 file stores it. SetRecords is everything but the
// pixels; ImageSet adds them. format.md describes the file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/set/dataset.h"

namespace xbench {

struct SetRecords {
    DatasetInfo info;
    std::vector<int32_t> labels;           // {N}, empty when multilabel
    std::vector<uint8_t> targets;          // {N*K}: 0, 1 or unknown_label; empty unless multilabel
    std::vector<uint8_t> splits;           // {N}, Split
    std::vector<std::string> ids, groups;  // {N}; groups (patients) may be empty
    std::vector<Box> boxes;                // image i has boxes[box_offsets[i]] .. boxes[box_offsets[i+1] - 1]
    std::vector<int64_t> box_offsets;      // {N+1}, or empty: no boxes are known
    // Columns of text that go with the images, {N} each: view, sex, age, site; of DICOM how the pixels were made.
    std::map<std::string, std::vector<std::string>> meta;
    std::string source;                         // what it was made from; info.source is the file once it is read
    std::string created_by;                     // program and version
    std::vector<double> pixel_mean, pixel_std;  // {channels} in [0,1], over the training split
};

// Throws Error for a class without a name, and for two of the same name. `where` names the set.
void check_class_names(const std::vector<std::string>& names, const std::string& where);

struct ImageSet {
    SetRecords records;
    std::vector<uint8_t> pixels;  // {N,c,h,w}; 16-bit pixels in the machine's byte order

    size_t image_bytes() const {
        const DatasetInfo& info = records.info;
        return static_cast<size_t>(info.channels * info.height * info.width * info.bytes_per_pixel);
    }
};

}  // namespace xbench
