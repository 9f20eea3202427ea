// The rows of /train/augment.
#include "core/config_fields.h"

namespace xbench {
namespace {

constexpr NumberRange probability{.low = 0, .high = 1};
constexpr NumberRange strength{.low = 0, .high = 1, .high_open = true};

}  // namespace

std::vector<ConfigField> augment_fields() {
#define XB_SLOT(member) [](Config& config, size_t) -> ConfigSlot { return &config.train.augment.member; }
    return {
        {"/train/augment/flip", XB_SLOT(flip),
         "Probability of a mirror image, left to right. Not for chests, unless a published recipe asks for it: it makes "
         "dextrocardia. Classes and boxes whose names differ in left and right change places.",
         probability},
        {"/train/augment/flip_vertical", XB_SLOT(flip_vertical), "Probability of a mirror image, top to bottom.",
         probability},
        {"/train/augment/rotation", XB_SLOT(rotation), "Degrees, from minus to plus this; what comes in is black.",
         NumberRange{.low = 0, .high = 180}},
        {"/train/augment/shift", XB_SLOT(shift), "Whole pixels across and down, from minus to plus this share of the side.",
         strength},
        {"/train/augment/scale", XB_SLOT(scale), "A factor from 1 - this to 1 + this, about the centre.", strength},
        {"/train/augment/brightness", XB_SLOT(brightness), "A factor from 1 - this to 1 + this.", probability},
        {"/train/augment/contrast", XB_SLOT(contrast),
         "A factor from 1 - this to 1 + this of the distance from the image's mean gray.", probability},
        {"/train/augment/gamma", XB_SLOT(gamma), "An exponent from 1 - this to 1 + this, of pixels in [0,1].", strength},
        {"/train/augment/noise", XB_SLOT(noise), "Standard deviation of Gaussian noise, of pixels in [0,1].", probability},
        {.path = "/train/augment/interpolation",
         .slot = XB_SLOT(interpolation),
         .help = "Of rotation, shift and scale.",
         .choices = {"bilinear", "nearest"}},
        {"/train/augment/box_share", XB_SLOT(box_share),
         "A box of which less than this share of its area stays in the image is dropped.", probability},
    };
#undef XB_SLOT
}

}  // namespace xbench
