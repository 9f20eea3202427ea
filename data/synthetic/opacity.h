// Patches of consolidated lung, which is what makes a procedural X-ray one of pneumonia.
#pragma once

#include <vector>

#include "core/rng.h"
#include "data/set/dataset.h"
#include "data/synthetic/canvas.h"

namespace xbench::drawing {

struct Blob {
    Point at;
    float radius, weight;
};

// A patch of consolidated lung: a haze of a few wide blobs and many small ones that run together, as filled acini do.
struct Opacity {
    Point centre;
    float reach, contrast;
    std::vector<Blob> blobs;
};

Opacity draw_opacity(const Anatomy& a, Random& random);

// Whether a patch lies in a lung is judged on a canvas of one size, so that a picture is the same one at any size.
class OpacityJudge {
public:
    explicit OpacityJudge(const Anatomy& a);
    bool accepts(const Opacity& opacity);

private:
    Canvas canvas_;
};

// Draws it. Its box; of an image of few pixels, none of which is covered well, the pixel that is covered best.
Box add_opacity(Canvas& canvas, const Opacity& opacity);

}  // namespace xbench::drawing
