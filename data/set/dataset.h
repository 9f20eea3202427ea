// A labelled set of images, wherever it is stored (HDF5 file, memory, generator).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace xbench {

enum class Split : uint8_t { train = 0, val = 1, test = 2 };
const char* name_of(Split split);
Split split_from(const std::string& name);  // throws UsageError

// A box around a finding: class, left, top, width, height in pixels of the stored image.
using Box = std::array<float, 5>;

// In the targets of a multi-label set: nobody knows. Loss and metrics leave such entries out.
inline constexpr uint8_t unknown_label = 255;

struct DatasetInfo {
    std::string source;  // path, or "synthetic"
    int64_t count = 0, channels = 0, height = 0, width = 0;
    int bytes_per_pixel = 1;  // uint8 or uint16
    std::vector<std::string> class_names;
    bool multilabel = false;  // labels are {N,K} of 0/1/unknown_label, else one class index an image
    std::string leaks = {};   // what a search for images in several splits has found; empty: nobody has looked
    int64_t classes() const { return static_cast<int64_t>(class_names.size()); }
};

// Everything but the pixels is in memory. Images are read by index; read() may be called by several threads at once.
class Dataset {
public:
    virtual ~Dataset() = default;
    const DatasetInfo& info() const { return info_; }
    std::span<const int32_t> labels() const { return labels_; }    // {N}, empty when multilabel
    std::span<const uint8_t> targets() const { return targets_; }  // {N*K}, empty unless multilabel
    std::span<const uint8_t> splits() const { return splits_; }    // {N}, Split
    const std::vector<std::string>& ids() const { return ids_; }
    // {N} whose image it is (a patient), "" where that is not known; empty: it is known of none.
    const std::vector<std::string>& groups() const { return groups_; }
    bool has_boxes() const { return !box_offsets_.empty(); }
    std::span<const Box> boxes(int64_t image) const;  // none where the set has no boxes
    std::vector<int64_t> indices(Split split) const;  // ascending

    // Writes images {indices.size(), c, h, w} as float in [0,1] (value / 255 or / 65535).
    virtual void read(std::span<const int64_t> indices, float* images) const = 0;
    // XXH3-128 over pixels, labels and splits, as 32 hex digits (Record.data_sha).
    virtual std::string digest() const = 0;

protected:
    DatasetInfo info_;
    std::vector<int32_t> labels_;
    std::vector<uint8_t> targets_, splits_;
    std::vector<std::string> ids_, groups_;
    std::vector<Box> boxes_;            // image i has boxes_[box_offsets_[i]] .. boxes_[box_offsets_[i+1] - 1]
    std::vector<int64_t> box_offsets_;  // {N+1}, or empty: no boxes are known
};

}  // namespace xbench
