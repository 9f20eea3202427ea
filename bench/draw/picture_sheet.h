// Small pictures in a grid, each with a line of capitals below it, as one PNG: what a data set holds, what augmentation
// does.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace xbench {

class PictureSheet {
public:
    // Pictures of `channels` (1 or 3) planes, `height` x `width` each, enlarged by whole numbers to at least `least` pixels.
    PictureSheet(int64_t channels, int64_t height, int64_t width, int columns, int least = 96);

    // Planes {c,h,w} in [0,1]. The caption is cut to the picture's width; of it letters, digits and + - . = % / ( ) : _ are
    // drawn.
    void add(std::span<const float> planes, const std::string& caption);
    void skip();  // an empty place
    std::vector<uint8_t> png() const;
    int64_t pixel_width() const { return columns_ * cell_width(); }

private:
    int64_t cell_width() const;
    int64_t cell_height() const;
    struct Picture {
        std::vector<uint8_t> planes;
        std::string caption;
    };
    const int64_t channels_, height_, width_, columns_, zoom_;
    std::vector<Picture> pictures_;
};

}  // namespace xbench
