// Images as training sees them: mirrored, turned, shifted, scaled, brighter or darker, noisy. What happens to an image is a
// function of (seed, epoch, image, operation) alone, whoever reads it and in whatever order.
//
// Order: flip, flip_vertical, one warp of rotation, scale and shift, brightness, contrast, gamma, noise. Boxes follow the
// pixels: the upright hull of their moved corners, cut at the border. A mirror image left to right makes "Left Lung" of
// "Right Lung": classes whose names differ in left and right are partners.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"
#include "data/load/augment_ops.h"
#include "data/set/dataset.h"

namespace xbench {

// What is drawn for one image.
struct Augmentation {
    uint32_t image = 0, epoch = 0;
    bool flip = false, flip_vertical = false;
    double degrees = 0, right = 0, down = 0, scale = 1;  // clockwise; pixels
    float brightness = 1, contrast = 1, gamma = 1, noise = 0;
    bool warps() const { return degrees != 0 || right != 0 || down != 0 || scale != 1; }
};

class Augmenter {
public:
    Augmenter(const AugmentConfig& config, const DatasetInfo& info, uint64_t seed);

    bool active() const { return config_.any(); }
    Augmentation draw(int64_t epoch, int64_t image) const;
    // Of float in [0,1], in place. `scratch` must hold as many values as the image.
    void apply(const Augmentation& what, float* image, float* scratch) const;
    // In place; drops what leaves the image.
    void apply(const Augmentation& what, std::vector<Box>& boxes) const;
    // The class, or the row of targets, of the changed image.
    int32_t label(const Augmentation& what, int32_t label) const;
    template <class T>
    void targets(const Augmentation& what, std::span<T> row) const {
        if (!what.flip || partners_.empty()) return;
        for (size_t k = 0; k < row.size(); ++k) {
            const auto partner = static_cast<size_t>(partners_[k]);
            if (partner > k) std::swap(row[k], row[partner]);
        }
    }

private:
    AugmentConfig config_;
    PixelShape shape_;
    uint64_t seed_;
    std::vector<int32_t> partners_;  // {classes}: itself, or the class of the other side; empty: no class has a side
};

// For each class the one of the other side (left and right as words of the name, in any case), or itself; empty: none has
// one.
std::vector<int32_t> sided_partners(const std::vector<std::string>& class_names);

}  // namespace xbench
