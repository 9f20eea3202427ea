// Drawing a patch, judging where it lies, and its box.
#include "data/synthetic/opacity.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace xbench::drawing {
namespace {

// How much of each pixel it covers, with the air that it takes; and the share of its cover that lies in air.
float cover_with(Canvas& canvas, const Opacity& opacity) {
    std::fill(canvas.patch.begin(), canvas.patch.end(), 0.0f);
    for (const Blob& one : opacity.blobs)
        canvas.near(one.at, one.radius, [&](size_t i, int64_t, int64_t, Point p) {
            canvas.patch[i] += one.weight * blob((square(p.x - one.at.x) + square(p.y - one.at.y)) / square(one.radius));
        });
    float area = 0, aerated = 0;
    canvas.near(opacity.centre, 1.4f * opacity.reach, [&](size_t i, int64_t, int64_t, Point) {
        const float sum = std::min(canvas.patch[i], 2.0f), cover = sum - 0.25f * square(sum);  // saturates at 1
        area += cover;
        aerated += cover * canvas.air[i];
        canvas.patch[i] = cover * canvas.air[i];
    });
    return area > 0 ? aerated / area : 0;
}

// Around the pixels that are covered well; empty where there are none.
std::optional<Box> box_of(const Canvas& canvas, const Opacity& opacity) {
    int64_t left = canvas.size(), right = -1, top = canvas.size(), bottom = -1;
    canvas.near(opacity.centre, 1.4f * opacity.reach, [&](size_t i, int64_t column, int64_t row, Point) {
        if (canvas.patch[i] < 0.3f) return;
        left = std::min(left, column);
        right = std::max(right, column);
        top = std::min(top, row);
        bottom = std::max(bottom, row);
    });
    if (right < left) return std::nullopt;
    return Box{1, static_cast<float>(left), static_cast<float>(top), static_cast<float>(right - left + 1),
               static_cast<float>(bottom - top + 1)};
}

}  // namespace

// Each draw is a statement of its own: the order in which a call's arguments are computed is the compiler's choice, and
// would be another set of pictures.
Opacity draw_opacity(const Anatomy& a, Random& random) {
    Opacity opacity{};
    const int side = static_cast<int>(random.below(2));
    opacity.reach = random.uniform(0.20f, 0.36f);
    opacity.contrast = random.uniform(0.30f, 0.56f);
    opacity.centre.x = (side == 0 ? -1.0f : 1.0f) * random.uniform(a.inner + 0.08f, a.lung_width[side] - 0.10f);
    opacity.centre.y = random.uniform(a.lung_top + 0.2f, a.lung_base[side]);
    const auto add_blob = [&](float spread, float radius, float weight) {
        const float angle = random.uniform(0, 6.2832f), distance = spread * std::sqrt(random.uniform());
        opacity.blobs.push_back(
            {{opacity.centre.x + distance * std::cos(angle), opacity.centre.y + distance * std::sin(angle)},
             radius,
             weight});
    };
    for (int haze = 0; haze < 4; ++haze) {
        const float weight = random.uniform(0.15f, 0.35f), radius = opacity.reach * random.uniform(0.5f, 0.9f);
        add_blob(0.5f * opacity.reach, radius, weight);
    }
    const float acinus = random.uniform(0.045f, 0.065f);
    const int acini = static_cast<int>(0.8f * square(opacity.reach / acinus));
    for (int i = 0; i < acini; ++i) {
        const float weight = random.uniform(0.5f, 1.1f), radius = acinus * random.uniform(0.8f, 1.3f);
        add_blob(opacity.reach, radius, weight);
    }
    return opacity;
}

OpacityJudge::OpacityJudge(const Anatomy& a) : canvas_(64, a) {
    for (int64_t row = 0, i = 0; row < canvas_.size(); ++row)
        for (int64_t column = 0; column < canvas_.size(); ++column, ++i) {
            const Point p = canvas_.body_point(column, row);
            canvas_.air[static_cast<size_t>(i)] = air_at(a, p, p.x - a.spine_bend * p.y);
        }
}

bool OpacityJudge::accepts(const Opacity& opacity) {
    return cover_with(canvas_, opacity) >= 0.6f && box_of(canvas_, opacity).has_value();
}

Box add_opacity(Canvas& canvas, const Opacity& opacity) {
    cover_with(canvas, opacity);
    canvas.near(opacity.centre, 1.4f * opacity.reach,
                [&](size_t i, int64_t, int64_t, Point) { canvas.density[i] += opacity.contrast * canvas.patch[i]; });
    if (const auto box = box_of(canvas, opacity)) return *box;
    const auto densest = std::max_element(canvas.patch.begin(), canvas.patch.end()) - canvas.patch.begin();
    return {1, static_cast<float>(densest % canvas.size()), static_cast<float>(densest / canvas.size()), 1, 1};
}

}  // namespace xbench::drawing
